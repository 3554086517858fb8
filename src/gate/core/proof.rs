//! What the gate is asked to prove, and what follows from that for who may be served.

use std::time::{Duration, Instant};

use super::Core;
use crate::seal::probe::Observation;
use crate::seal::state::{Refused, Round};
use crate::seal::wire::{Challenge, ChallengeConflict, State, Target};

impl Core {
    /// Takes a challenge whose signature is good; an opening that it orders happens here.
    ///
    /// # Errors
    /// The state machine refuses it.
    pub fn begin(&self, challenge: Challenge) -> Result<Round, Refused> {
        self.change(|inner, now| inner.machine.begin(challenge, now))
    }

    /// What the next challenge must carry.
    #[must_use]
    pub fn conflict(&self) -> ChallengeConflict {
        self.inner().machine.conflict()
    }

    /// Takes what a round observed.
    pub fn finish(&self, round: Round, observations: &[Observation]) {
        self.change(|inner, now| {
            inner.machine.finish(round, observations, now);
            inner.checked_at = jiff::Timestamp::now().to_string();
        });
    }

    /// What the gate probes by itself: the last challenge's targets and nonce.
    #[must_use]
    pub fn self_targets(&self) -> Option<(Vec<Target>, String)> {
        self.inner().machine.self_targets()
    }

    /// Takes what the gate observed by itself: it can open, never prove.
    pub fn self_probe(&self, targets: &[Target], observations: &[Observation]) {
        self.change(|inner, _| inner.machine.self_probe(targets, observations));
    }

    /// Whether the kubelet may start the runtime's container: only a fresh proof will do.
    #[must_use]
    pub fn may_start(&self) -> bool {
        let inner = self.inner();
        inner.unsealed || inner.machine.state(Instant::now()) == State::Proven
    }

    /// Whether a request may be served now; otherwise the reason, a word of the condition `Sealed`.
    ///
    /// # Errors
    /// The reason.
    pub fn admits(&self) -> Result<(), String> {
        let inner = self.inner();
        let now = Instant::now();
        if inner.unsealed || inner.machine.serves(now) {
            return Ok(());
        }
        Err(match (inner.machine.opening(), inner.machine.state(now)) {
            (Some(opening), _) => opening.reason.clone(),
            (None, State::Unproven) => "NotProven".to_owned(),
            (None, _) => "EvidenceStale".to_owned(),
        })
    }

    /// When the newest proof began, on the wall clock's scale: seconds before now.
    #[must_use]
    pub fn last_proven(&self) -> Option<Duration> {
        self.inner().machine.last_proven().map(|at| at.elapsed())
    }
}
