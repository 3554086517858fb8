//! What operator, gate and canary say to each other, as JSON.
//!
//! Every message that makes somebody act (a challenge to a gate, a control order to a canary) travels in a
//! signed envelope; answers are plain. All times on the wire are durations or Unix milliseconds; decisions
//! use each process's own monotonic clock, so clocks that differ do no harm.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::session::Session;

mod mcp;
mod models;

pub use mcp::{Mcp, Pin, ServerInfo, Tools};
pub use models::{Lack, ModelFile};

/// The version of every message here.
pub const VERSION: u8 = 1;

/// A signed message in the shape of DSSE (Dead Simple Signing Envelope, v1.0.2).
///
/// The signature is ECDSA P-256 with SHA-256 over DSSE's pre-authentication encoding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// `application/vnd.sealroom.challenge.v1+json` or `application/vnd.sealroom.control.v1+json`.
    pub payload_type: String,
    /// The message's bytes in base64.
    pub payload: String,
    /// At least one signature by a key that the receiver trusts.
    pub signatures: Vec<Signature>,
}

/// One signature of an [`Envelope`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The first 16 hex digits of the SHA-256 of the public key's SPKI DER: a hint, not trusted.
    pub keyid: String,
    /// The fixed-size ECDSA signature (r ‖ s) in base64.
    pub sig: String,
}

/// The transport that a probe uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Proto {
    /// A connect.
    Tcp,
    /// A datagram that asks for an answer.
    Udp,
}

/// What listens at a target, and so what a probe says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TargetKind {
    /// A canary: `sealroom-nonce <nonce>\n`, answered by `seen <nonce>\n` over either transport.
    Canary,
    /// Cluster DNS: a query that the server answers by itself over UDP, a connect over TCP.
    Dns,
    /// A TCP connect, or a UDP datagram with the canary's text, and nothing else.
    Dial,
}

/// How a control in the same round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Control {
    /// Somebody who may reach the target did, `rtt` microseconds for a round trip.
    Ok {
        /// Round trip in microseconds, at least 1.
        rtt_micros: u32,
    },
    /// Nobody reached the target.
    Failed,
    /// There is no control for this target: a tripwire.
    None,
}

/// One address to probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// A stable name such as `canary/other-node/tcp4`, at most 63 characters.
    pub name: String,
    /// Required targets need their control; tripwires only convict.
    pub required: bool,
    /// What listens there.
    pub kind: TargetKind,
    /// Address and port.
    pub addr: SocketAddr,
    /// Transport.
    pub proto: Proto,
    /// Its control of this round.
    pub control: Control,
}

/// What the evaluation of all NetworkPolicies says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "verdict")]
pub enum Closure {
    /// What policies allow equals what the object declared.
    Equal,
    /// Something allows more.
    Widened {
        /// The policies, by name, and what each adds: at most 1,024 characters.
        detail: String,
    },
    /// Not evaluated yet.
    Unknown,
}

/// The operator's order to a gate: probe these targets now, and know this about the policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Challenge {
    /// [`VERSION`].
    pub v: u8,
    /// The only pod that may obey.
    pub pod_uid: String,
    /// 32 hex digits, new in every challenge; what a canary that sees it remembers.
    pub nonce: String,
    /// The only run of the gate that may obey; `None` when the operator has not heard from it yet. A gate
    /// refuses (409, with a [`ChallengeConflict`]) what is not for its own.
    pub session: Option<Session>,
    /// Grows with every challenge for this pod (Unix milliseconds of its making, or one more than the last,
    /// whatever the clock says): a gate refuses (409, with a [`ChallengeConflict`]) what is not greater.
    pub seq: u64,
    /// How long a proof from this round holds, in milliseconds.
    pub validity_ms: u64,
    /// The other half of the proof.
    pub closure: Closure,
    /// The operator knows an opening (a canary saw this pod's nonce): obey at once, whatever the probes say.
    pub open: Option<Opening>,
    /// At most 64 targets.
    pub targets: Vec<Target>,
}

/// Why a pod is open. The reasons are those of the condition `Sealed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Opening {
    /// `EgressOpen`, `PolicyWidens`, `NotEnforced` or `PodAltered`.
    pub reason: String,
    /// What was reached or what widens: at most 1,024 characters.
    pub detail: String,
}

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

/// A gate's answer 409: what a challenge must carry to be obeyed. Nothing of the refused one was obeyed.
///
/// Like every answer it is not signed. It makes the operator sign the same challenge again, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeConflict {
    /// The gate's own session.
    pub session: Session,
    /// The last sequence number that this session accepted, 0 before the first.
    pub last: u64,
}

/// The answer of `GET /sealz` and of `POST /challenge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`VERSION`].
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
    /// What the gate needs to ask the models of its pod's program, and has not: at most two for each model.
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

/// The operator's order to a canary: dial these gates and these targets, and say how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlOrder {
    /// [`VERSION`].
    pub v: u8,
    /// Like a challenge's; a canary refuses (409, with a [`ControlConflict`]) what is not greater.
    pub seq: u64,
    /// The only canary that may obey: its pod UID.
    pub canary_uid: String,
    /// Admin ports of gates to dial (TCP connect), at most 512.
    pub gates: Vec<SocketAddr>,
    /// Shared targets to dial, such as DNS and the API server, at most 32; `control` is ignored.
    pub targets: Vec<Target>,
}

/// A canary's answer 409, beside an error for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlConflict {
    /// The last sequence number that it accepted since its start.
    pub last: u64,
}

/// How one dial of a canary went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dialled {
    /// Whom it dialled.
    pub addr: SocketAddr,
    /// Over what.
    pub proto: Proto,
    /// Microseconds to the answer; absent when there was none within a second.
    pub rtt_micros: Option<u32>,
}

/// The canary's answer to a [`ControlOrder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlReport {
    /// [`VERSION`].
    pub v: u8,
    /// The canary's pod UID.
    pub canary_uid: String,
    /// One per gate, in the order's order.
    pub gates: Vec<Dialled>,
    /// One per target, in the order's order.
    pub targets: Vec<Dialled>,
}

/// The answer of `GET /seen?since=<id>` (0 at first): what a canary heard after that id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenReport {
    /// [`VERSION`].
    pub v: u8,
    /// The canary's pod UID.
    pub canary_uid: String,
    /// What to ask with the next time.
    pub next: u64,
    /// True when something after that id was forgotten because too much came: an absent nonce then says
    /// nothing.
    #[serde(default)]
    pub lost: bool,
    /// At most 4,096, oldest first.
    pub seen: Vec<Seen>,
}

/// One nonce that a canary saw, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seen {
    /// Counts up; a restarted canary goes on above (it begins at the microsecond of its start).
    pub id: u64,
    /// The nonce as it came: 32 hex digits.
    pub nonce: String,
    /// Where it seemed to come from.
    pub from: IpAddr,
    /// Over what.
    pub proto: Proto,
}
