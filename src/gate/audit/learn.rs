//! What becomes known of a request while it is under way.

use std::time::Instant;

use super::line::{About, Line};
use super::{Outcome, Record, Told};
use crate::engine::Route;
use crate::gate::budgets::Purse;
use crate::gate::callers::Caller;
use crate::gate::served::Served;
use crate::gate::usage::Usage;
use crate::mcp::pin::printable;

/// Most characters of a tool's name. MCP recommends at most 128 (revision 2025-11-25, server/tools, "Tool Names"); a server
/// may have longer ones.
const MAX_TOOL: usize = 128;

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

    /// Which MCP message it is, by names that are known: none is the client's own text. A tool's name is its server's: it is
    /// bounded, and all but printable ASCII escaped.
    pub fn rpc(&mut self, method: &'static str, called: Option<String>, version: &'static str) {
        let called = called.map(|name| printable(&name, MAX_TOOL));
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

    /// The engine is asked: the request counts, and what it takes comes out of this purse.
    pub fn pays(&mut self, purse: Option<Purse>) {
        let now = Instant::now();
        self.purse = purse.map(|purse| (purse.let_in(now), now));
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
