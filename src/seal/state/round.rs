//! One round: what begins it, what it found, what its knowledge amounts to.

use std::time::{Duration, Instant};

use super::settings::{OWN_NODE, OwnNode};
use crate::seal::check::{MAX_DETAIL, Malformed};
use crate::seal::probe::Observation;
use crate::seal::verdict::report;
use crate::seal::wire::{Closure, Opening, Target, TargetReport, Verdict};

/// Why a challenge is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It breaks a limit.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It is for another pod.
    #[error("failed to accept challenge: it is for another pod")]
    OtherPod,
    /// It is for another run of this gate, or its maker did not know which one runs.
    #[error("failed to accept challenge: it is for another session of this gate")]
    Session,
    /// Its sequence number is not greater than the last: a replay, or overtaken by a newer one.
    #[error("failed to accept challenge: sequence {seq} is not greater than {last}")]
    Sequence {
        /// Its own.
        seq: u64,
        /// The last that was accepted.
        last: u64,
    },
    /// Its nonce was there before.
    #[error("failed to accept challenge: the nonce was used before")]
    Nonce,
}

/// A round that has begun. It counts at most once, so it cannot be copied.
#[derive(Debug)]
pub struct Round {
    pub(super) targets: Vec<Target>,
    pub(super) nonce: String,
    pub(super) closure: Closure,
    pub(super) ordered: Option<Opening>,
    pub(super) validity: Duration,
    pub(super) seq: u64,
    pub(super) begun: Instant,
    pub(super) epoch: u64,
}

impl Round {
    /// What to probe.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// What to tell the canaries.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }
}

/// What the last finished round found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Its nonce; empty before the first round's end.
    pub nonce: String,
    /// One per target.
    pub targets: Vec<TargetReport>,
}

/// What the observations mean, each for the target in its place.
pub(super) fn found(targets: &[Target], observations: &[Observation]) -> Vec<TargetReport> {
    targets
        .iter()
        .zip(observations)
        .map(|(target, observation)| report(target, observation))
        .collect()
}

/// The names of the targets that were reached and must not be.
pub(super) fn reached(targets: &[TargetReport], own_node: OwnNode) -> Option<String> {
    let names: Vec<&str> = targets
        .iter()
        .filter(|target| target.verdict == Verdict::Reached)
        .filter(|target| {
            own_node == OwnNode::Require || target.required || !target.name.starts_with(OWN_NODE)
        })
        .map(|target| target.name.as_str())
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The opening that a round's knowledge amounts to. An order's own words come first: the operator knows what
/// the canaries saw.
pub(super) fn opening(
    ordered: Option<&Opening>,
    closure: &Closure,
    reached: Option<String>,
) -> Option<Opening> {
    if let Some(ordered) = ordered {
        return Some(ordered.clone());
    }
    let (reason, detail) = match (closure, reached) {
        (Closure::Widened { detail }, Some(reached)) => {
            ("EgressOpen", format!("reached {reached}; {detail}"))
        }
        (Closure::Widened { detail }, None) => ("PolicyWidens", detail.clone()),
        (Closure::Equal, Some(reached)) => ("NotEnforced", format!("reached {reached}")),
        // Whether a policy explains it is not known, so nothing is said against the CNI.
        (Closure::Unknown, Some(reached)) => ("EgressOpen", format!("reached {reached}")),
        (Closure::Equal | Closure::Unknown, None) => return None,
    };
    Some(Opening {
        reason: reason.to_owned(),
        detail: detail.chars().take(MAX_DETAIL).collect(),
    })
}
