//! What a gate says of itself.

use serde::{Deserialize, Serialize};

use super::challenge::Opening;
use super::mcp::Mcp;
use super::models::Lack;
use super::target::Proto;
use crate::seal::session::Session;

/// What a gate found at one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It could not be reached although its control could be.
    Blocked,
    /// It was reached.
    Reached,
    /// Anything else.
    Unknown,
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetReport {
    /// As in the challenge.
    pub name: String,
    /// As in the challenge.
    pub required: bool,
    /// Address and port.
    pub addr: String,
    /// Transport.
    pub proto: Proto,
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// What was found.
    pub verdict: Verdict,
    /// `ok`, `failed` or `none`.
    pub control: String,
    /// `silence 1003 ms`, `unreachable`, `refused`, `connected` …
    pub detail: String,
}

/// The gate's state as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Never proven since the gate started.
    Unproven,
    /// Both halves of the proof hold.
    Proven,
    /// The last proof is older than its validity.
    Stale,
    /// A way out was seen.
    Open,
}

impl State {
    /// Every state, and its name in metrics.
    pub const NAMES: [(Self, &'static str); 4] = [
        (Self::Unproven, "unproven"),
        (Self::Proven, "proven"),
        (Self::Stale, "stale"),
        (Self::Open, "open"),
    ];
}

/// The answer of `GET /sealz` and of `POST /challenge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`VERSION`](super::VERSION).
    pub v: u8,
    /// True in the states Proven and, as `seal.whenStale` says, Stale.
    pub sealed: bool,
    /// The pod that reports.
    #[serde(rename = "podUID")]
    pub pod_uid: String,
    /// The run of the gate that reports: the next challenge must carry it.
    pub session: Session,
    /// RFC 3339 time of the last finished round, empty before the first.
    pub checked_at: String,
    /// The gate's state.
    pub state: State,
    /// Why the state is Open; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
    /// `equal`, `widened` or `unknown`.
    pub closure: String,
    /// Locks that hold: `Kernel` once launch has shown its lock, `NetworkPolicy` while proven.
    pub locks: Vec<String>,
    /// The nonce of the round that this reports, empty before the first.
    #[serde(default)]
    pub nonce: String,
    /// True once an engine was started in this pod since the gate started.
    #[serde(default)]
    pub runtime_ran: bool,
    /// What is wrong with the runtime, until it has served for a while without a fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_fault: Option<RuntimeFault>,
    /// True while the gate asks for keys and finds none: nobody is let in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keys_missing: bool,
    /// True while the gate is to serve TLS and has no certificate: nobody is let in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub certificate_missing: bool,
    /// The key set that tokens are checked with.
    #[serde(default, skip_serializing_if = "TokenKeys::is_good")]
    pub token_keys: TokenKeys,
    /// What the gate of an MCP server knows about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Mcp>,
    /// What the gate needs to ask the models of its pod's program, and has not: at most three for each model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models_lack: Vec<Lack>,
    /// The last round's findings.
    pub targets: Vec<TargetReport>,
}

/// What went wrong with a runtime since it last served for a while; the order is that in which one hides another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RuntimeFault {
    /// It, or its container, or of an MCP server a process of it, ended by itself.
    Ended,
    /// It said that it is healthy, and gave errors, half answers or none.
    Answers,
    /// It ended by itself again and again.
    Failing,
    /// It gave no sign of life, or found no end in starting. An MCP server gave no answer.
    Hangs,
    /// It was killed by SIGKILL, and not by us: the kernel does that for want of memory.
    OutOfMemory,
}

/// The state of a gate's key set; the order is from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenKeys {
    /// It is the newest, or tokens are not asked for.
    #[default]
    Good,
    /// The newest file is no key set: the keys of the one before hold.
    Outdated,
    /// There is no key: no token is accepted.
    Missing,
}

impl TokenKeys {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_good(&self) -> bool {
        *self == Self::Good
    }
}
