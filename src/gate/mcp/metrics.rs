//! What the gate of an MCP server counts. Every label has a fixed set of values: no tool's name, no client's text.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::gate::audit::Outcome;
use crate::gate::core::Core;
use crate::telemetry::registered;

const DURATION: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0,
];

/// Labels of `sealroom_gate_mcp_requests_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Requests {
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

/// The counters.
#[derive(Clone, Debug)]
pub struct Mcp {
    requests: Family<Requests, Counter>,
    duration: Family<Method, Histogram, fn() -> Histogram>,
    /// Sessions of clients.
    pub sessions: Gauge,
    answers: Gauge,
    drifted: Gauge,
}

impl Mcp {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let duration: Family<Method, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(DURATION));
        registry.register_with_unit(
            "sealroom_gate_mcp_request_duration",
            "From the request to the last byte of its answer",
            Unit::Seconds,
            duration.clone(),
        );
        Self {
            requests: registered(
                registry,
                "sealroom_gate_mcp_requests",
                "MCP messages by method and outcome; rpcError is an answer with an error in it",
            ),
            duration,
            sessions: registered(
                registry,
                "sealroom_gate_mcp_sessions",
                "Sessions of clients of the protocol before 2026-07-28",
            ),
            answers: registered(
                registry,
                "sealroom_gate_mcp_server_answers",
                "1 while the server answers",
            ),
            drifted: registered(
                registry,
                "sealroom_gate_mcp_tools_drifted",
                "1 while the server is not served because its tools are not those of tools.pin",
            ),
        }
    }

    /// Takes down how the server is now.
    pub fn look(&self, core: &Core) {
        self.answers.set(i64::from(core.runtime().warm));
        self.drifted.set(i64::from(core.obstacle().is_some()));
    }

    /// A message has its answer.
    pub fn observe(&self, method: &'static str, outcome: Outcome, error: bool, took: Duration) {
        let outcome = match outcome {
            Outcome::Ok if error => "rpcError",
            outcome => outcome.as_str(),
        };
        let labels = Requests { method, outcome };
        self.requests.get_or_create(&labels).inc();
        let duration = self.duration.get_or_create(&Method { method });
        duration.observe(took.as_secs_f64());
    }
}
