//! The operator's order to a canary, and what a canary says.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::target::{Proto, Target};

/// The operator's order to a canary: dial these gates and these targets, and say how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlOrder {
    /// [`VERSION`](super::VERSION).
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
    /// Microseconds from the first packet to the answer; absent when there was none within a second, nor within
    /// another one from a target that must say something.
    pub rtt_micros: Option<u32>,
}

/// The canary's answer to a [`ControlOrder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlReport {
    /// [`VERSION`](super::VERSION).
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
    /// [`VERSION`](super::VERSION).
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
