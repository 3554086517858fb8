//! What the machine says at a time: the state, whether requests are served and the engine may run, its report.

use std::time::Instant;

use super::{Findings, Machine, WhenStale};
use crate::seal::lease::Word;
use crate::seal::session::Session;
use crate::seal::verdict::closure_name;
use crate::seal::wire::{ChallengeConflict, Opening, Report, State, TokenKeys, VERSION};

impl Machine {
    /// The state at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        match (&self.opening, self.proof) {
            (Some(_), _) => State::Open,
            (None, None) => State::Unproven,
            (None, Some((_, end))) if now < end => State::Proven,
            (None, Some(_)) => State::Stale,
        }
    }

    /// True when requests may be served at `now`.
    #[must_use]
    pub fn serves(&self, now: Instant) -> bool {
        match (self.state(now), self.proof, self.config.when_stale) {
            (State::Proven, _, _) | (State::Stale, _, WhenStale::Serve) => true,
            (State::Stale, Some((_, end)), WhenStale::Refuse) => now < end + self.config.grace,
            _ => false,
        }
    }

    /// What to say to launch at `now`. An engine that runs keeps its lease as long as requests are served; one
    /// that does not run may start while Proven, and while Stale only under [`WhenStale::Serve`].
    #[must_use]
    pub fn lease(&self, now: Instant, engine_runs: bool) -> Word {
        let may_start = match self.state(now) {
            State::Proven => true,
            State::Stale => self.config.when_stale == WhenStale::Serve,
            State::Unproven | State::Open => false,
        };
        match self.state(now) {
            State::Unproven => Word::Held,
            _ if !self.serves(now) => Word::Revoked,
            _ if engine_runs || may_start => Word::Granted,
            _ => Word::Held,
        }
    }

    /// The next time at which the state or the lease changes by itself, should nothing come before.
    #[must_use]
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        let (_, end) = self.proof?;
        let refusal =
            (self.config.when_stale == WhenStale::Refuse).then(|| end + self.config.grace);
        [Some(end), refusal]
            .into_iter()
            .flatten()
            .find(|change| now < *change)
    }

    /// The run of the gate, from [`Machine::new`].
    #[must_use]
    pub fn session(&self) -> Session {
        self.session
    }

    /// What the next challenge must carry.
    #[must_use]
    pub fn conflict(&self) -> ChallengeConflict {
        ChallengeConflict {
            session: self.session,
            last: self.last_seq,
        }
    }

    /// What it says of itself. Whoever runs it adds when a round was finished, the locks and the engine.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        Report {
            v: VERSION,
            sealed: self.serves(now),
            pod_uid: self.pod_uid.clone(),
            session: self.session,
            checked_at: String::new(),
            state: self.state(now),
            opening: self.opening.clone(),
            closure: self.closure().to_owned(),
            locks: Vec::new(),
            nonce: self.findings.nonce.clone(),
            runtime_ran: false,
            runtime_fault: None,
            keys_missing: false,
            certificate_missing: false,
            mcp: None,
            token_keys: TokenKeys::Good,
            models_lack: Vec::new(),
            targets: self.findings.targets.clone(),
        }
    }

    /// Why it is Open.
    #[must_use]
    pub fn opening(&self) -> Option<&Opening> {
        self.opening.as_ref()
    }

    /// The newest challenge's closure as a report names it: `equal`, `widened` or `unknown`.
    #[must_use]
    pub fn closure(&self) -> &'static str {
        closure_name(&self.closure)
    }

    /// What the newest finished round found.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// When the newest round that proved anything began; kept when a later opening voids the proof.
    #[must_use]
    pub fn last_proven(&self) -> Option<Instant> {
        self.last_proven
    }
}
