//! One line per request on stdout, without content.
//!
//! A request takes its place in the queue before it is looked at, so none that is served can lack its line;
//! when nobody reads the log and the queue is full, requests are refused.

use std::io::Write;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;

use super::audit_log::{self, Written};
use super::budgets::Purse;
use super::callers::Caller;
use super::core::{Core, Drain};
use super::gen_ai;
use super::metrics::{Metrics, Requests};
use super::served::Served;
use super::usage::Usage;
use crate::engine::Route;

/// Most tokens that a prompt is taken for where the engine did not say how many it had: bytes of images are none.
const PROMPT_GUESS: u64 = 8192;
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
    /// The engine or the client took too long, or longer than a pod that ends lasts.
    Timeout,
}

impl Outcome {
    /// As the audit and metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::UpstreamError => "upstreamError",
            Self::ClientClosed => "clientClosed",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
        }
    }
}

/// What a request was about.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum About {
    /// A model.
    Model {
        /// The served model's name once it is known which one is asked: of one model with the route, of several with
        /// the body. Never what the client wrote.
        model: Option<String>,
        /// The artifact's digest, with the name.
        digest: Option<String>,
        /// As the engine says them, at the end of a whole answer.
        prompt_tokens: Option<u64>,
        completion_tokens: Option<u64>,
        /// To the first byte of the engine's answer: of a stream, the first token.
        ttft_millis: Option<u64>,
    },
    /// An MCP server.
    Mcp {
        /// The method, if MCP has it.
        rpc: Option<&'static str>,
        /// The tool, if the server has it.
        tool: Option<String>,
        /// The revision of the protocol that the client speaks.
        protocol: Option<&'static str>,
        /// The code of the error that the answer was.
        rpc_error: Option<i64>,
    },
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
    #[serde(flatten)]
    about: About,
    /// The name of the key's entry in its Secret.
    key: Option<String>,
    /// The person that the token names.
    person: Option<String>,
    bytes_in: u64,
    bytes_out: u64,
    millis: u64,
    outcome: Outcome,
}

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
    /// Where its tokens are taken from.
    purse: Option<Purse>,
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
    /// Starts the writer, and tells when it has written the last line.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(out: impl Write + Send + 'static) -> std::io::Result<(Self, Written)> {
        let (sender, lines) = mpsc::channel(QUEUE);
        let written = audit_log::start(lines, out)?;
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
            about: About::of(&metrics),
            key: None,
            person: None,
            bytes_in: 0,
            bytes_out: 0,
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
            purse: None,
            events: 0,
            streams: false,
            first_byte: None,
            told: None,
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

    /// The request has a route.
    pub fn routed(&mut self, route: Route) {
        self.route = Some(route);
        self.with(|line| line.route = route.path());
    }

    /// It is known which model the request is for.
    pub fn asks(&mut self, model: &Served) {
        self.with(|line| {
            if let About::Model {
                model: name,
                digest,
                ..
            } = &mut line.about
            {
                *name = Some(model.name.clone());
                digest.clone_from(&model.digest);
            }
        });
    }

    /// The request came to the endpoint of an MCP server.
    pub fn at(&mut self, path: &'static str) {
        self.with(|line| line.route = path);
    }

    /// Which MCP message it is, by names that are known: none is the client's own text.
    pub fn rpc(&mut self, method: &'static str, called: Option<String>, version: &'static str) {
        self.with(|line| {
            if let About::Mcp {
                rpc,
                tool,
                protocol,
                ..
            } = &mut line.about
            {
                (*rpc, *tool, *protocol) = (Some(method), called, Some(version));
            }
        });
    }

    /// The answer is an error with this code.
    pub fn rpc_error(&mut self, code: Option<i64>) {
        self.with(|line| {
            if let About::Mcp { rpc_error, .. } = &mut line.about {
                *rpc_error = code;
            }
        });
    }

    /// The answer may still turn out to be an error.
    pub fn rpc_error_in(&mut self, told: Told) {
        self.told = Some(told);
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

    /// The engine is asked, and what it takes comes out of this purse.
    pub fn pays(&mut self, purse: Option<Purse>) {
        self.purse = purse;
    }

    /// Events of a stream have passed.
    pub fn heard(&mut self, events: u64) {
        self.events += events;
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

impl Record {
    /// What a caller pays for: what the engine says, and where an answer ended before it said it, an estimate of four
    /// bytes to a token that was read and an event to one that was written: whoever hangs up early pays too.
    fn tokens(&self, line: &Line) -> u64 {
        let begun = matches!(line.status, 200 | 499);
        match self.usage {
            Some(usage) => usage.prompt.saturating_add(usage.completion),
            None if begun => (line.bytes_in / 4).min(PROMPT_GUESS) + self.events,
            None => 0,
        }
    }

    /// How a request ended whose end nobody saw: whoever was not cut by us went by themselves.
    fn unsettled(&self) -> Outcome {
        if self.core.admits().is_err() {
            return Outcome::Reset;
        }
        match self.core.watch().borrow().drain {
            Drain::Done => Outcome::Timeout,
            _ => Outcome::ClientClosed,
        }
    }
}

impl About {
    /// Nothing is known yet but what the gate is in front of.
    fn of(metrics: &Metrics) -> Self {
        if metrics.mcp.is_some() {
            return Self::Mcp {
                rpc: None,
                tool: None,
                protocol: None,
                rpc_error: None,
            };
        }
        Self::Model {
            model: None,
            digest: None,
            prompt_tokens: None,
            completion_tokens: None,
            ttft_millis: None,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(code) = self.told.take().and_then(|told| told.get().copied()) {
            self.rpc_error(Some(code));
        }
        let (Some(mut line), Some(permit)) = (self.line.take(), self.permit.take()) else {
            return;
        };
        if !self.settled {
            line.outcome = self.unsettled();
        }
        let took = self.begun.elapsed();
        line.millis = millis(took);
        if let About::Model {
            prompt_tokens,
            completion_tokens,
            ttft_millis,
            ..
        } = &mut line.about
        {
            *ttft_millis = self.first_byte.map(millis);
            *prompt_tokens = self.usage.map(|usage| usage.prompt);
            *completion_tokens = self.usage.map(|usage| usage.completion);
        }
        if let Some(purse) = self.purse.take() {
            purse.pay(self.tokens(&line), Instant::now());
        }
        let labels = Requests {
            route: line.route,
            code: line.status,
        };
        self.metrics.requests.get_or_create(&labels).inc();
        if let (About::Mcp { rpc, rpc_error, .. }, Some(mcp)) = (&line.about, &self.metrics.mcp) {
            let method = rpc.unwrap_or("other");
            mcp.observe(method, line.outcome, rpc_error.is_some(), took);
        }
        if let (
            Some(route),
            Some(gen_ai),
            About::Model {
                model: Some(model), ..
            },
        ) = (self.route, &self.metrics.gen_ai, &line.about)
        {
            gen_ai.observe(&gen_ai::Request {
                model,
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
#[path = "audit_tests.rs"]
mod tests;
