//! One line per request on stdout, without content.
//!
//! A request takes its place in the queue before it is looked at, so none that is served can lack its line;
//! when nobody reads the log and the queue is full, requests are refused.

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;

use super::callers::Caller;
use super::core::Core;
use super::gen_ai;
use super::metrics::{Metrics, Requests};
use super::proxy::Served;
use super::usage::Usage;
use crate::engine::Route;

/// Lines that wait for the log's reader.
const QUEUE: usize = 1024;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The whole answer was handed over.
    Ok,
    /// The gate refused it.
    Refused,
    /// The engine failed or answered with an error.
    UpstreamError,
    /// The client went before the end.
    ClientClosed,
    /// The pod was seen open and the connection cut.
    Reset,
    /// The engine or the client took too long.
    Timeout,
}

/// A line of the audit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    kind: &'static str,
    time: String,
    /// Also the answer's header field `x-request-id`.
    id: String,
    /// The address that the request came from.
    source: Option<IpAddr>,
    method: &'static str,
    route: &'static str,
    status: u16,
    /// The served model's name once the request had found its route; never what the client wrote.
    model: Option<String>,
    /// The artifact's digest, with the name.
    digest: Option<String>,
    /// The name of the key's entry in its Secret.
    key: Option<String>,
    /// The person that the token names.
    person: Option<String>,
    bytes_in: u64,
    bytes_out: u64,
    /// As the engine says them, at the end of a whole answer.
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    /// To the first byte of the engine's answer: of a stream, the first token.
    ttft_millis: Option<u64>,
    millis: u64,
    outcome: Outcome,
}

/// Where lines are queued.
#[derive(Clone, Debug)]
pub struct Audit(mpsc::Sender<Line>);

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
    /// The answer is a stream of events.
    streams: bool,
    first_byte: Option<Duration>,
    /// Set once nothing but the answer's bytes is missing.
    settled: bool,
}

impl Audit {
    /// Starts the writer.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(mut out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (sender, mut lines) = mpsc::channel::<Line>(QUEUE);
        // A thread, since a full pipe blocks.
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                while let Some(line) = lines.blocking_recv() {
                    let mut text = serde_json::to_vec(&line).unwrap_or_default();
                    text.push(b'\n');
                    if out.write_all(&text).and_then(|()| out.flush()).is_err() {
                        // Nobody can read the lines any more: with the queue gone, requests are refused.
                        tracing::error!("failed to write the audit log");
                        return;
                    }
                }
            })?;
        Ok(Self(sender))
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
        let method = [
            "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT",
        ]
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other");
        let line = Line {
            kind: "audit",
            time: jiff::Timestamp::now().to_string(),
            id: format!("{:032x}", rand::random::<u128>()),
            source,
            method,
            route: "other",
            status: 499,
            model: None,
            digest: None,
            key: None,
            person: None,
            bytes_in: 0,
            bytes_out: 0,
            prompt_tokens: None,
            completion_tokens: None,
            ttft_millis: None,
            millis: 0,
            outcome: Outcome::ClientClosed,
        };
        let (line, permit, begun) = (Some(line), Some(permit), Instant::now());
        Some(Record {
            line,
            permit,
            begun,
            core,
            metrics,
            route: None,
            usage: None,
            streams: false,
            first_byte: None,
            settled: false,
        })
    }
}

impl Record {
    fn with(&mut self, set: impl FnOnce(&mut Line)) {
        if let Some(line) = &mut self.line {
            set(line);
        }
    }

    /// What the answer carries as `x-request-id`.
    #[must_use]
    pub fn id(&self) -> Option<http::HeaderValue> {
        self.line.as_ref()?.id.parse().ok()
    }

    /// The request has a route and so a model.
    pub fn routed(&mut self, route: Route, model: &Served) {
        self.route = Some(route);
        self.with(|line| {
            line.route = route.path();
            line.model = Some(model.name.clone());
            line.digest.clone_from(&model.digest);
        });
    }

    /// Who sent the request is known.
    pub fn called(&mut self, caller: &Caller) {
        self.with(|line| match caller {
            Caller::Anyone => {}
            Caller::Key(key) => line.key = Some(key.0.clone()),
            Caller::Person(person) => line.person = Some(person.as_str().to_owned()),
        });
    }

    /// The request's body is read.
    pub fn read(&mut self, bytes: u64) {
        self.with(|line| line.bytes_in = bytes);
    }

    /// The answer's head goes out. Its end decides the outcome, unless that is settled already.
    pub fn answered(&mut self, status: http::StatusCode) {
        self.with(|line| line.status = status.as_u16());
    }

    /// Bytes of the answer went out.
    pub fn wrote(&mut self, bytes: usize) {
        self.with(|line| line.bytes_out += bytes as u64);
    }

    /// The first bytes of the engine's answer go out.
    pub fn began(&mut self) {
        self.first_byte.get_or_insert_with(|| self.begun.elapsed());
    }

    /// The answer is a stream of events.
    pub fn streams(&mut self) {
        self.streams = true;
    }

    /// What the engine says that it took.
    pub fn used(&mut self, usage: Option<Usage>) {
        self.usage = usage;
    }

    /// How it ended.
    pub fn settle(&mut self, outcome: Outcome) {
        self.settled = true;
        self.with(|line| line.outcome = outcome);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let (Some(mut line), Some(permit)) = (self.line.take(), self.permit.take()) else {
            return;
        };
        if !self.settled && self.core.admits().is_err() {
            line.outcome = Outcome::Reset;
        }
        let took = self.begun.elapsed();
        line.millis = millis(took);
        line.ttft_millis = self.first_byte.map(millis);
        line.prompt_tokens = self.usage.map(|usage| usage.prompt);
        line.completion_tokens = self.usage.map(|usage| usage.completion);
        let labels = Requests {
            route: line.route,
            code: line.status,
        };
        self.metrics.requests.get_or_create(&labels).inc();
        if let Some(route) = self.route {
            self.metrics.gen_ai.observe(&gen_ai::Request {
                route,
                status: line.status,
                outcome: line.outcome,
                took,
                first_event: self.first_byte.filter(|_| self.streams),
                usage: self.usage,
            });
        }
        permit.send(line);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::seal::session::Session;
    use crate::seal::state::{Config, Machine, OwnNode, WhenStale};

    /// A log whose reader is gone.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A log that nobody reads.
    struct Stuck(std::sync::mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn opens(audit: &Audit) -> bool {
        let config = Config {
            when_stale: WhenStale::Serve,
            grace: std::time::Duration::ZERO,
            own_node: OwnNode::Report,
        };
        let metrics = Arc::new(Metrics::new(Engine::LlamaCpp, "assistant"));
        let core = Arc::new(Core::new(Machine::new(config, "pod", Session::random())));
        audit
            .open(&http::Method::GET, None, core, metrics)
            .is_some()
    }

    #[test]
    fn a_log_that_nobody_reads_refuses_requests() {
        let (go, wait) = std::sync::mpsc::channel();
        let audit = Audit::start(Stuck(wait)).unwrap();
        // Lines in the queue, and one that the writer holds.
        let taken = (0..2 * QUEUE).take_while(|_| opens(&audit)).count();
        assert!((QUEUE..=QUEUE + 1).contains(&taken), "{taken}");
        drop(go);
    }

    #[test]
    fn a_log_that_is_closed_refuses_requests() {
        let audit = Audit::start(Closed).unwrap();
        let begun = Instant::now();
        while opens(&audit) {
            assert!(begun.elapsed().as_secs() < 10);
        }
    }
}
