//! `/metrics`: what the gate counts, and the engine's token counters passed through.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::answer::Refusal;
use super::core::Core;
use super::gen_ai::GenAi;
use super::mcp::metrics::Mcp;
use super::models;
use super::queue::NoSlot;
use super::rejected::Rejected;
use crate::engine::{Engine, Tokens};
use crate::seal::wire::State;
use crate::telemetry::registered;

/// Labels of `sealroom_gate_requests_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Requests {
    /// A route's path, or `other`.
    pub route: &'static str,
    /// The HTTP status; 499 when the client went before the answer.
    pub code: u16,
}

/// The limit that refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// All slots and all places in the queue are taken.
    QueueFull,
    /// No slot became free in time.
    QueueTimeout,
    /// The memory for bodies is taken.
    BodyMemory,
    /// The caller's requests are spent.
    RequestBudget,
    /// The caller's tokens are spent.
    TokenBudget,
}

impl Limit {
    const ALL: [Self; 5] = [
        Self::QueueFull,
        Self::QueueTimeout,
        Self::BodyMemory,
        Self::RequestBudget,
        Self::TokenBudget,
    ];

    /// As metrics read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::BodyMemory => "body_memory",
            Self::RequestBudget => "request_budget",
            Self::TokenBudget => "token_budget",
        }
    }

    /// As clients read it: the OpenAI API has a word of its own for a caller's budgets.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::RequestBudget | Self::TokenBudget => "rate_limit_exceeded",
            other => other.as_str(),
        }
    }

    fn label(self) -> ReasonLabel {
        ReasonLabel {
            reason: self.as_str(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// The gate's metrics. Every label has a fixed set of values.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests by route and status.
    pub requests: Family<Requests, Counter>,
    /// Requests that were refused because no audit line could be queued.
    pub unaudited: Counter,
    /// What ended on the API port before it was a request.
    pub rejected: Rejected,
    /// What requests took, before a model.
    pub gen_ai: Option<GenAi>,
    /// What is counted before an MCP server.
    pub mcp: Option<Mcp>,
    /// 1 while the TLS certificate that serves is an old one, because the Secret's cannot be used.
    pub tls_refused: Gauge,
    /// Requests that wait for a slot.
    pub waiting: Gauge,
    /// What the pod's program asks its models.
    pub models: models::Counts,
    refused: Family<ReasonLabel, Counter>,
    in_flight: Gauge,
    state: Family<StateLabel, Gauge>,
    last_proven: Gauge<f64, AtomicU64>,
    tokens: Family<KindLabel, Counter>,
}

impl Metrics {
    /// Of a gate before `engine`.
    #[must_use]
    pub fn of_model(engine: Engine) -> Self {
        let mut registry = Registry::default();
        let gen_ai = GenAi::register(&mut registry, engine.as_str());
        Self::new(registry, Some(gen_ai), None)
    }

    /// Of a gate before an MCP server.
    #[must_use]
    pub fn of_mcp() -> Self {
        let mut registry = Registry::default();
        let mcp = Mcp::register(&mut registry);
        Self::new(registry, None, Some(mcp))
    }

    fn new(mut registry: Registry, gen_ai: Option<GenAi>, mcp: Option<Mcp>) -> Self {
        let all = &mut registry;
        let metrics = Self {
            gen_ai,
            models: models::Counts::register(all),
            rejected: Rejected::register(all),
            mcp,
            requests: registered(
                all,
                "sealroom_gate_requests",
                "Requests by route and status",
            ),
            unaudited: registered(
                all,
                "sealroom_gate_unaudited",
                "Requests refused because the audit log is not read",
            ),
            tls_refused: registered(
                all,
                "sealroom_gate_tls_secret_refused",
                "1 while an old TLS certificate serves because the one in the Secret cannot be used",
            ),
            waiting: registered(
                all,
                "sealroom_gate_waiting",
                "Requests that wait for a slot before the engine",
            ),
            refused: registered(all, "sealroom_gate_refused", "Requests refused by a limit"),
            in_flight: registered(all, "sealroom_gate_in_flight", "Requests under way"),
            state: registered(
                all,
                "sealroom_seal_state",
                "1 for the state that the seal is in",
            ),
            last_proven: registered(
                all,
                "sealroom_seal_last_proven_timestamp_seconds",
                "When the newest proof began; 0 before the first",
            ),
            tokens: registered(
                all,
                "sealroom_runtime_tokens",
                "Tokens since the engine started, as it counts them",
            ),
            registry,
        };
        // A rate over a counter sees its first step only where it was there before.
        for limit in Limit::ALL {
            drop(metrics.refused.get_or_create(&limit.label()));
        }
        metrics
    }

    /// A limit has refused a request.
    pub fn refused(&self, limit: Limit) {
        self.refused.get_or_create(&limit.label()).inc();
    }

    /// The answer 429 of a limit, with a retry after `seconds`; counted.
    pub fn limited(&self, limit: Limit, message: &str, seconds: u32) -> Refusal {
        self.refused(limit);
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, limit.code(), message).retry(seconds)
    }

    /// The same for a request that got no slot of `who`, the model or the server.
    pub fn no_slot(&self, why: NoSlot, who: &str, seconds: u32) -> Refusal {
        let (limit, message) = match why {
            NoSlot::Full => (
                Limit::QueueFull,
                format!("the queue before the {who} is full"),
            ),
            NoSlot::TimedOut => (
                Limit::QueueTimeout,
                format!("the {who} had no time for this request within the longest wait"),
            ),
        };
        self.limited(limit, &message, seconds)
    }

    /// The text of `/metrics` (OpenMetrics 1.0).
    #[must_use]
    pub fn text(&self, core: &Core, tokens: Option<Tokens>) -> String {
        self.in_flight
            .set(i64::try_from(core.in_flight()).unwrap_or(i64::MAX));
        let now = core.report().state;
        for (state, name) in State::NAMES {
            self.state
                .get_or_create(&StateLabel { state: name })
                .set(i64::from(state == now));
        }
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let proven = core
            .last_proven()
            .and_then(|ago| since_epoch.checked_sub(ago));
        self.last_proven
            .set(proven.map_or(0.0, |at| at.as_secs_f64()));
        if let Some(tokens) = tokens {
            for (kind, count) in [("prompt", tokens.prompt), ("generated", tokens.generated)] {
                let counter = self.tokens.get_or_create(&KindLabel { kind });
                counter.inner().store(count, Ordering::Relaxed);
            }
        }
        if let Some(mcp) = &self.mcp {
            mcp.look(core);
        }
        let mut text = String::new();
        let _ = encode(&mut text, &self.registry);
        text
    }
}
