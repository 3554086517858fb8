//! The operator's order to a gate.

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::seal::session::Session;

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
    /// [`VERSION`](super::VERSION).
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
