//! How processes of a server are shared, and how much each pod takes on.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::schema;

/// Whether clients share a process of the server. For `transport.type: Stdio`; an HTTP server is one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.childMemory) || quantity(string(self.childMemory)).compareTo(quantity('16Mi')) >= 0").message(
    "childMemory: write at least 16Mi, or hardly a program starts"
))]
pub struct Isolation {
    /// `PerSession` (default): each session of a client has a process of its own, so that nothing that the server
    /// remembers can reach another client. `Shared`: one process for all, for servers that remember nothing.
    #[serde(default, rename = "type")]
    pub isolation_type: IsolationType,
    /// The most processes of a pod at once, the one included by which the gate knows that the server works: 2 to 256, 16
    /// by default.
    #[serde(default = "max_children")]
    #[schemars(range(min = 2, max = 256))]
    pub max_children: u32,
    /// After how many seconds without a message a session ends, and on stdio its process: 10 to 86400, 600 by default.
    #[serde(default = "idle_seconds")]
    #[schemars(range(min = 10, max = 86_400))]
    pub idle_seconds: u32,
    /// The most memory of each process of the server, such as `256Mi`: at least 16Mi, and less than
    /// `resources.limits.memory`. It counts what a process can write to and shares with nobody (`VmData` in
    /// `/proc/<pid>/status`), used or not. One that asks for more gets an error, and mostly ends; its session ends then,
    /// and others go on. Without it one session can take the memory of all, and the kernel ends every process of the
    /// container. A program that starts others has as much for each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub child_memory: Option<Quantity>,
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            isolation_type: IsolationType::default(),
            max_children: max_children(),
            idle_seconds: idle_seconds(),
            child_memory: None,
        }
    }
}

/// The ways of [`Isolation`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IsolationType {
    /// A process for each session.
    #[default]
    PerSession,
    /// One process.
    Shared,
}

impl IsolationType {
    /// As the bridge's flag writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerSession => "PerSession",
            Self::Shared => "Shared",
        }
    }
}

/// Limits of each pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerLimits {
    /// How many calls are under way in a pod at once: 1 to 1024, 64 by default. More are refused with 429.
    #[serde(default = "concurrent_requests")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrent_requests: u32,
    /// The largest body of a call in bytes: 1024 to 16777216 (16 MiB), 4194304 (4 MiB) by default. A larger one is refused
    /// with 413.
    #[serde(default = "body_bytes")]
    #[schemars(range(min = 1024, max = 16_777_216))]
    pub body_bytes: u32,
    /// For how many seconds a call may go on: 1 to 86400, 300 by default. Then its client gets an error, the server is told
    /// that nobody waits any more (over stdio by `notifications/cancelled`), and another call takes its place. A call waits
    /// for what the server asks its client meanwhile, so leave a person time to answer. What was begun may have been
    /// carried out.
    #[serde(default = "call_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub call_seconds: u32,
    /// A budget of each API key and each person (`access.apiKeys`, `access.jwt`), the same for all. Each pod counts for
    /// itself, in memory: with several pods a caller may take as much of each, and a new pod begins anew. A budget may be
    /// spent at once, and fills up again evenly; a request beyond it is refused with 429 and told when to try again.
    /// Without it a caller may take as much as the other limits leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_caller: Option<CallerBudget>,
}

/// What one caller may ask of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallerBudget {
    /// Requests in a minute, and streams that are opened: 1 to 100000. Notifications, answers to what a server asks and
    /// the end of a session cost nothing.
    #[schemars(range(min = 1, max = 100_000))]
    pub requests_per_minute: u32,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            concurrent_requests: concurrent_requests(),
            body_bytes: body_bytes(),
            call_seconds: call_seconds(),
            per_caller: None,
        }
    }
}

fn max_children() -> u32 {
    16
}

fn idle_seconds() -> u32 {
    600
}

fn concurrent_requests() -> u32 {
    64
}

fn body_bytes() -> u32 {
    4_194_304
}

/// As long as the official package of Python waits for an event by itself, and longer than that of TypeScript waits for an
/// answer (60 s): by then hardly anybody listens.
fn call_seconds() -> u32 {
    300
}
