//! When a pod counts as closed: the gate's state machine, pure, with the time passed in.
//!
//! ```text
//!   Unproven --- five good rounds over three seconds ---> Proven --- validity over ---> Stale
//!   Open ------- five good rounds over three seconds ---> Proven <-- one good round --- Stale
//!   any state -- reached, widened or ordered -----------> Open
//! ```
//!
//! A round is good when the policies allow exactly what was declared, every required target is blocked and
//! nothing was reached. A round that is neither good nor an opening (a control failed, the closure is not
//! known) proves nothing and opens nothing; before the first proof it also sets the count back to zero.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::probe::Observation;
use super::session::Session;
use super::wire::{Challenge, Closure, Opening, Target, Verdict};

mod round;
mod settings;
mod standing;

pub use round::{Findings, Refused, Round};
use round::{found, opening, reached};
pub use settings::{Config, OWN_NODE, OwnNode, WhenStale};

/// Good rounds that the first proof needs.
pub const FIRST_ROUNDS: usize = 5;
/// Time from the beginning of the first of them to the beginning of the last.
pub const FIRST_SPAN: Duration = Duration::from_secs(3);
/// Longest validity of a proof, whatever a challenge says.
pub const MAX_VALIDITY: Duration = Duration::from_secs(3600);

/// Good rounds that are remembered before the first proof; more keep the oldest.
const MAX_GOOD: usize = 64;
/// Nonces that are remembered, so that none serves twice.
const MAX_NONCES: usize = 256;

/// The state of one gate, from its start to its end.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    pod_uid: String,
    session: Session,
    last_seq: u64,
    nonces: VecDeque<String>,
    /// Goes up whenever the evidence gathered so far stops counting.
    epoch: u64,
    /// When the good rounds towards the first proof began.
    good: VecDeque<(Instant, Duration)>,
    /// When the newest proof began and when it ends; absent while Unproven or Open.
    proof: Option<(Instant, Instant)>,
    last_proven: Option<Instant>,
    opening: Option<Opening>,
    closure: Closure,
    last_targets: Vec<Target>,
    last_nonce: String,
    finished_seq: u64,
    findings: Findings,
}

impl Machine {
    /// A gate that has just started: Unproven, whatever an earlier one knew. It has forgotten the sequence
    /// numbers and nonces of earlier runs, so `session` must be new: it is what keeps their challenges out.
    #[must_use]
    pub fn new(config: Config, pod_uid: impl Into<String>, session: Session) -> Self {
        // Bounded, so that no sum of times overflows.
        let grace = config.grace.min(MAX_VALIDITY);
        Self {
            config: Config { grace, ..config },
            pod_uid: pod_uid.into(),
            session,
            last_seq: 0,
            nonces: VecDeque::new(),
            epoch: 0,
            good: VecDeque::new(),
            proof: None,
            last_proven: None,
            opening: None,
            closure: Closure::Unknown,
            last_targets: Vec::new(),
            last_nonce: String::new(),
            finished_seq: 0,
            findings: Findings::default(),
        }
    }

    /// Takes a challenge whose signature was seen to be good. An ordered opening or a widened closure opens
    /// here and now, before anything is probed.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn begin(&mut self, challenge: Challenge, now: Instant) -> Result<Round, Refused> {
        challenge.check()?;
        if challenge.pod_uid != self.pod_uid {
            return Err(Refused::OtherPod);
        }
        if challenge.session != Some(self.session) {
            return Err(Refused::Session);
        }
        if challenge.seq <= self.last_seq {
            return Err(Refused::Sequence {
                seq: challenge.seq,
                last: self.last_seq,
            });
        }
        if self.nonces.contains(&challenge.nonce) {
            return Err(Refused::Nonce);
        }
        self.last_seq = challenge.seq;
        if self.nonces.len() == MAX_NONCES {
            self.nonces.pop_front();
        }
        self.nonces.push_back(challenge.nonce.clone());
        self.closure = challenge.closure.clone();
        self.last_targets.clone_from(&challenge.targets);
        self.last_nonce.clone_from(&challenge.nonce);
        if let Some(opening) = opening(challenge.open.as_ref(), &challenge.closure, None) {
            // What an earlier round reached is not forgotten before this one has probed.
            let known = self.opening.take().filter(|_| challenge.open.is_none());
            self.open(known.unwrap_or(opening));
        }
        Ok(Round {
            targets: challenge.targets,
            nonce: challenge.nonce,
            closure: challenge.closure,
            ordered: challenge.open,
            validity: Duration::from_millis(challenge.validity_ms).min(MAX_VALIDITY),
            seq: challenge.seq,
            begun: now,
            epoch: self.epoch,
        })
    }

    /// Takes what a round's probes observed, in the order of its targets. Rounds may end in any order.
    pub fn finish(&mut self, round: Round, observations: &[Observation], now: Instant) {
        let targets = found(&round.targets, observations);
        let complete = targets.len() == round.targets.len();
        let reached = reached(&targets, self.config.own_node);
        let blocked = targets.iter().any(|target| target.required)
            && targets
                .iter()
                .all(|target| !target.required || target.verdict == Verdict::Blocked);
        let newest = round.seq > self.finished_seq;
        if newest {
            self.finished_seq = round.seq;
            self.findings = Findings {
                nonce: round.nonce,
                targets,
            };
        }
        let got_out = reached.is_some();
        match opening(round.ordered.as_ref(), &round.closure, reached) {
            Some(opening) if got_out => return self.open(opening),
            Some(opening) => {
                // `begin` opened already; rounds that began since then must not be voided again.
                if newest && self.opening.is_some() {
                    self.opening = Some(opening);
                }
                return;
            }
            None => {}
        }
        // Newer knowledge of the policies outweighs a round that began before it.
        let equal = round.closure == Closure::Equal && self.closure == Closure::Equal;
        if !(complete && blocked && equal) {
            if self.proof.is_none() {
                self.void();
            }
        } else if round.epoch == self.epoch {
            self.good_round(round.begun, round.validity, now);
        }
    }

    /// What the gate probes by itself between rounds: the newest challenge's targets and nonce; nothing
    /// before the first challenge.
    #[must_use]
    pub fn self_targets(&self) -> Option<(Vec<Target>, String)> {
        (!self.last_targets.is_empty())
            .then(|| (self.last_targets.clone(), self.last_nonce.clone()))
    }

    /// Takes what the gate observed by itself at `targets`. Whatever was reached opens; nothing renews.
    pub fn self_probe(&mut self, targets: &[Target], observations: &[Observation]) {
        let reached = reached(&found(targets, observations), self.config.own_node);
        if reached.is_some()
            && let Some(opening) = opening(None, &self.closure, reached)
        {
            self.open(opening);
        }
    }

    /// Opens for a reason that came by another way than a challenge.
    pub fn ordered_open(&mut self, opening: Opening) {
        self.open(opening);
    }

    fn good_round(&mut self, begun: Instant, validity: Duration, now: Instant) {
        if self.proof.is_none() {
            self.good
                .retain(|(begun, validity)| *begun + *validity > now);
            if self.good.len() == MAX_GOOD {
                // The oldest carries the span.
                self.good.remove(1);
            }
            self.good.push_back((begun, validity));
            let first = self.good.iter().map(|(begun, _)| *begun).min();
            let last = self.good.iter().map(|(begun, _)| *begun).max();
            let span = first
                .zip(last)
                .map_or(Duration::ZERO, |(first, last)| last - first);
            if self.good.len() < FIRST_ROUNDS || span < FIRST_SPAN {
                return;
            }
            self.good.clear();
            self.opening = None;
        }
        let (old_begun, old_end) = self.proof.unwrap_or((begun, begun + validity));
        let proof = (old_begun.max(begun), old_end.max(begun + validity));
        self.proof = Some(proof);
        self.last_proven = self.last_proven.max(Some(proof.0));
    }

    fn open(&mut self, opening: Opening) {
        self.opening = Some(opening);
        self.proof = None;
        self.void();
    }

    /// What was gathered so far, and what rounds under way will find, proves nothing any more.
    fn void(&mut self) {
        self.epoch += 1;
        self.good.clear();
    }
}

#[cfg(test)]
mod tests;
