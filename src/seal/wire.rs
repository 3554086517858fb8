//! What operator, gate and canary say to each other, as JSON.
//!
//! Every message that makes somebody act (a challenge to a gate, a control order to a canary) travels in a
//! signed envelope; answers are plain. All times on the wire are durations or Unix milliseconds; decisions
//! use each process's own monotonic clock, so clocks that differ do no harm.

use serde::{Deserialize, Serialize};

mod canary;
mod challenge;
mod mcp;
mod models;
mod report;
mod target;

pub use canary::{ControlConflict, ControlOrder, ControlReport, Dialled, Seen, SeenReport};
pub use challenge::{Challenge, ChallengeConflict, Closure, Opening};
pub use mcp::{Mcp, Pin, ServerInfo, Tools};
pub use models::{Lack, Need};
pub use report::{Report, RuntimeFault, State, TargetReport, TokenKeys, Verdict};
pub use target::{Control, Proto, Target, TargetKind};

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
