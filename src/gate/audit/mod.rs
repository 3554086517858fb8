//! One line per request on stdout, without content.
//!
//! A request takes its place in the queue before it is looked at, so none that is served can lack its line;
//! when nobody reads the log and the queue is full, requests are refused.

use std::io::Write;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::budgets::Purse;
use super::core::Core;
use super::metrics::Metrics;
use super::usage::Usage;
use crate::engine::Route;

mod end;
mod learn;
mod line;
mod log;

pub use line::Outcome;
pub use log::Written;

use line::Line;

/// Lines that wait for the log's reader, beside those of requests that are under way.
const SPARE: usize = 1024;

/// Where lines are queued.
#[derive(Clone, Debug)]
pub struct Audit(mpsc::Sender<Line>);

/// The code of an error of JSON-RPC, once it has passed.
pub type Told = Arc<OnceLock<i64>>;

/// A request's line while it is under way; written when this is dropped, however the request ends.
#[derive(Debug)]
pub struct Record {
    line: Option<Line>,
    permit: Option<mpsc::OwnedPermit<Line>>,
    begun: Instant,
    core: Arc<Core>,
    metrics: Arc<Metrics>,
    route: Option<Route>,
    usage: Option<Usage>,
    /// Where its tokens are taken from, and since when the engine has it.
    purse: Option<(Purse, Instant)>,
    /// Events of the engine's stream that have passed.
    events: u64,
    /// The answer is a stream of events.
    streams: bool,
    first_byte: Option<Duration>,
    /// Where the code of an error will be that comes with the answer.
    told: Option<Told>,
    /// Set once nothing but the answer's bytes is missing.
    settled: bool,
}

impl Audit {
    /// Starts the writer, and tells when it has written the last line. There is room for the lines of as many requests as
    /// can be `under_way` at once: while the log is read, none is refused for want of a line. A line takes about a
    /// kilobyte at most.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        out: impl Write + Send + 'static,
        under_way: usize,
    ) -> std::io::Result<(Self, Written)> {
        let (sender, lines) = mpsc::channel(under_way + SPARE);
        let written = log::start(lines, out)?;
        Ok((Self(sender), written))
    }

    /// A line for a request that has just come; `None` when the queue is full.
    #[must_use]
    pub fn open(
        &self,
        method: &http::Method,
        source: Option<IpAddr>,
        core: Arc<Core>,
        metrics: Arc<Metrics>,
    ) -> Option<Record> {
        let permit = self.0.clone().try_reserve_owned().ok()?;
        let line = Line::new(method, source, &metrics);
        Some(Record {
            line: Some(line),
            permit: Some(permit),
            begun: Instant::now(),
            core,
            metrics,
            route: None,
            usage: None,
            purse: None,
            events: 0,
            streams: false,
            first_byte: None,
            told: None,
            settled: false,
        })
    }
}

#[cfg(test)]
mod tests;
