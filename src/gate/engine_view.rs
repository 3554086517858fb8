//! What the gate knows of the engine behind launch: pure, with the time passed in.

use std::time::{Duration, Instant};

use crate::seal::lease::Runtime;
use crate::seal::wire::RuntimeFault;

/// An engine that was started and whose socket is not there after this time hangs.
pub const START_LIMIT: Duration = Duration::from_secs(300);
/// An engine whose socket is there and that gives no sign of life for this time hangs.
const SIGN_LIMIT: Duration = Duration::from_secs(30);
/// An engine that says for so long that it is loading is told of; it may go on.
pub const LOAD_LIMIT: Duration = Duration::from_secs(1800);
/// An engine that answers wrongly for so long after it had answered rightly is started again; one that mends itself sooner
/// need not load its model anew.
pub const WRONG_LIMIT: Duration = Duration::from_secs(60);
/// Who has served for so long has left its faults behind.
const STEADY: Duration = Duration::from_secs(300);
/// So many ends are more than an accident.
const AGAIN_AND_AGAIN: u32 = 3;
/// The exit code of a process that SIGKILL ended. What launch kills itself it does not tell as an end.
const KILLED: i32 = 137;

/// How long an engine may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until its socket is there.
    pub start: Duration,
    /// Until it has loaded, as it says itself.
    pub load: Duration,
    /// Until it answers rightly again.
    pub wrong: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: START_LIMIT,
            load: LOAD_LIMIT,
            wrong: WRONG_LIMIT,
        }
    }
}

/// Why an engine should be started again by somebody else than launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It found no end in starting, or gives no sign of life.
    Hangs,
    /// It lives and answers wrongly.
    Wrong,
}

impl Lost {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hangs => "the engine hangs",
            Self::Wrong => "the engine answers wrongly",
        }
    }
}

/// What launch has said, and what the gate saw of the engine.
#[derive(Clone, Debug)]
pub struct RuntimeView {
    /// How long it may take.
    pub limits: Limits,
    /// A launch is connected.
    pub connected: bool,
    /// What it says that it has locked and seen to hold.
    pub locks: Vec<String>,
    /// Its last word: `Waiting` when nobody is connected.
    pub phase: Runtime,
    /// Counts the engines that were started.
    pub run: u64,
    /// The engine has answered a completion.
    pub warm: bool,
    /// Since when it has.
    warm_since: Instant,
    /// It has since its start, even if it does not now.
    served: bool,
    /// Wrong answers to the gate's own question since it last gave a right one.
    wrong: u32,
    /// Ends by itself since it was steady.
    ends: u32,
    /// What is remembered of it.
    fault: Option<RuntimeFault>,
    /// What is wrong with it until it answers as it should, and since when.
    trouble: Option<(RuntimeFault, Instant)>,
    /// Launch was told to end.
    stopping: bool,
    /// When the phase began.
    since: Instant,
    /// When the engine last answered anything.
    pub sign: Instant,
}

impl RuntimeView {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            limits: Limits::default(),
            connected: false,
            locks: Vec::new(),
            phase: Runtime::Waiting,
            run: 0,
            warm: false,
            warm_since: now,
            served: false,
            wrong: 0,
            ends: 0,
            fault: None,
            trouble: None,
            stopping: false,
            since: now,
            sign: now,
        }
    }

    /// Launch says where the engine is.
    pub fn enter(&mut self, phase: Runtime, now: Instant) {
        self.remember(now);
        match phase {
            Runtime::Hello { .. } => return,
            Runtime::Stopping => {
                self.stopping = true;
                return;
            }
            Runtime::Starting => self.run += 1,
            Runtime::Running if self.phase == Runtime::Waiting => self.run += 1,
            Runtime::Ended { code } if !self.stopping => self.ended(code),
            _ => {}
        }
        if self.phase != phase {
            self.warm = false;
            self.served = false;
            self.wrong = 0;
            self.trouble = None;
        }
        self.phase = phase;
        self.since = now;
        self.sign = now;
    }

    /// Launch is gone; unless it was told to end, that is an end too.
    pub fn gone(&mut self, now: Instant) {
        self.remember(now);
        let had = matches!(self.phase, Runtime::Starting | Runtime::Running);
        if had && !self.stopping {
            self.ended(0);
        }
        self.stopping = false;
        self.connected = false;
        self.locks.clear();
        self.enter(Runtime::Waiting, now);
    }

    /// The engine has answered its first completion.
    pub fn warmed(&mut self, now: Instant) {
        if !self.warm {
            self.warm_since = now;
        }
        self.warm = true;
        self.served = true;
        self.wrong = 0;
        self.trouble = None;
    }

    /// The engine does not answer any more, for now.
    pub fn cooled(&mut self, now: Instant) {
        self.remember(now);
        self.warm = false;
    }

    /// The engine says that it is healthy, and answered the gate's own question wrongly or not at all. While it starts,
    /// it may do so now and then.
    pub fn answered_wrongly(&mut self, now: Instant) {
        self.wrong = self.wrong.saturating_add(1);
        if self.served || self.wrong >= AGAIN_AND_AGAIN {
            self.troubled(RuntimeFault::Answers, now);
            self.fault = self.fault.max(Some(RuntimeFault::Answers));
        }
    }

    /// The engine lives and does not answer as it should: this is told until it does, and not remembered.
    pub fn troubled(&mut self, fault: RuntimeFault, now: Instant) {
        self.cooled(now);
        let known = self.trouble.filter(|(old, _)| *old == fault);
        self.trouble = known.or(Some((fault, now)));
    }

    /// A process behind the one that launch runs has ended by itself, or was ended for this.
    pub fn failed(&mut self, fault: RuntimeFault, now: Instant) {
        self.cooled(now);
        self.trouble = None;
        if self.stopping {
            return;
        }
        match fault {
            RuntimeFault::Ended => self.ended(0),
            other => self.fault = self.fault.max(Some(other)),
        }
    }

    /// What is wrong with it, or was until a while ago.
    #[must_use]
    pub fn fault(&self, now: Instant) -> Option<RuntimeFault> {
        let trouble = self.trouble.map(|(fault, _)| fault);
        self.lasting(now).max(trouble)
    }

    /// Of that, what is known beyond its end.
    fn lasting(&self, now: Instant) -> Option<RuntimeFault> {
        let hangs = self.hangs(now) || self.loads_for_ever(now);
        let hangs = hangs.then_some(RuntimeFault::Hangs);
        self.fault.filter(|_| !self.steady(now)).max(hangs)
    }

    /// Whether it lives and gave a wrong answer last.
    #[must_use]
    pub fn answers_wrongly(&self) -> bool {
        matches!(self.trouble, Some((RuntimeFault::Answers, _)))
    }

    /// Whether and why it should be started again by somebody else than launch. One that has not answered rightly since its
    /// start is left alone: the next one would do the same.
    #[must_use]
    pub fn lost(&self, now: Instant) -> Option<Lost> {
        let late = |since: Instant| now.duration_since(since) > self.limits.wrong;
        match self.trouble {
            _ if self.hangs(now) => Some(Lost::Hangs),
            Some((RuntimeFault::Answers, since)) if self.served && late(since) => Some(Lost::Wrong),
            _ => None,
        }
    }

    fn ended(&mut self, code: i32) {
        self.ends = self.ends.saturating_add(1);
        let fault = match code {
            KILLED => RuntimeFault::OutOfMemory,
            _ if self.ends >= AGAIN_AND_AGAIN => RuntimeFault::Failing,
            _ => RuntimeFault::Ended,
        };
        self.fault = self.fault.max(Some(fault));
    }

    /// Before something changes: what was so until then stays known, or is forgotten.
    fn remember(&mut self, now: Instant) {
        if self.steady(now) {
            self.ends = 0;
        }
        self.fault = self.lasting(now);
    }

    fn steady(&self, now: Instant) -> bool {
        self.warm && now.duration_since(self.warm_since) >= STEADY
    }

    fn loads_for_ever(&self, now: Instant) -> bool {
        let loads = self.phase == Runtime::Running && !self.served;
        loads && now.duration_since(self.since) > self.limits.load
    }

    /// Whether a started engine hangs.
    #[must_use]
    pub fn hangs(&self, now: Instant) -> bool {
        match self.phase {
            Runtime::Starting => now.duration_since(self.since) > self.limits.start,
            Runtime::Running => now.duration_since(self.sign) > SIGN_LIMIT,
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "engine_view_tests.rs"]
mod tests;
