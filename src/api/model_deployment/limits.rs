//! How much may be asked of a [`super::ModelDeployment`].

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of each pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How many requests the engine of a pod has at once, 1 to 1024; more wait in the queue. Without it: twice the
    /// engine's `parallel`, so that the engine never idles while an answer goes out to a slow client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrent_requests: Option<u32>,
    /// How many requests may wait in a pod, first come, first served: 0 to 512, 256 by default. More are refused at once
    /// with 429. With 0 none waits.
    #[serde(default = "queued_requests")]
    #[schemars(range(min = 0, max = 512))]
    pub queued_requests: u32,
    /// How many seconds a request may wait before it is refused with 429: 1 to 3600, 600 by default, after which the
    /// official OpenAI clients give up themselves.
    #[serde(default = "queue_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub queue_seconds: u32,
    /// The largest body of a request in bytes; a larger one is refused with 413. All bodies of a pod, those of
    /// waiting requests included, share eight times as much memory, at most 64 MiB; a request that finds no room
    /// there for five seconds is refused with 429. 1024 to 16777216 (16 MiB), 4194304 (4 MiB) by default.
    #[serde(default = "body_bytes")]
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub body_bytes: u32,
    /// Budgets of each API key and each person (`access.apiKeys`, `access.jwt`), the same for all. Each pod counts for
    /// itself, in memory: with several pods a caller may take as much of each, and a new pod begins anew. A budget may be
    /// spent at once, and fills up again evenly; a request beyond it is refused with 429 and told when to try again.
    /// Without it a caller may take as much as the other limits leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_caller: Option<PerCaller>,
}

/// What one caller may take of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.requestsPerMinute) || has(self.tokensPerMinute) || has(self.tokensPerDay)").message(
    "write requestsPerMinute, tokensPerMinute or tokensPerDay, or leave perCaller out"
))]
pub struct PerCaller {
    /// Requests in a minute: 1 to 100000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub requests_per_minute: Option<u32>,
    /// Tokens in a minute, those of the prompt and those of the answer, as the engine counts them: 1 to 1000000000. They
    /// are known when an answer has ended: the request that goes beyond the budget is finished, and the next one waits
    /// for longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub tokens_per_minute: Option<u32>,
    /// Tokens in 24 hours, counted as for tokensPerMinute: 1 to 1000000000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub tokens_per_day: Option<u32>,
}

impl Limits {
    /// What the engine has at once where it computes so many.
    #[must_use]
    pub fn concurrent(&self, parallel: u32) -> u32 {
        self.concurrent_requests
            .unwrap_or_else(|| parallel.saturating_mul(2).clamp(1, 256))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_requests: None,
            queued_requests: queued_requests(),
            queue_seconds: queue_seconds(),
            body_bytes: body_bytes(),
            per_caller: None,
        }
    }
}

fn queued_requests() -> u32 {
    256
}

fn queue_seconds() -> u32 {
    600
}

fn body_bytes() -> u32 {
    4_194_304
}
