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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: START_LIMIT,
            load: LOAD_LIMIT,
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
    /// Ends by itself since it was steady.
    ends: u32,
    /// What is remembered of it.
    fault: Option<RuntimeFault>,
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
            ends: 0,
            fault: None,
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
    }

    /// The engine does not answer any more, for now.
    pub fn cooled(&mut self, now: Instant) {
        self.remember(now);
        self.warm = false;
    }

    /// What is wrong with it, or was until a while ago.
    #[must_use]
    pub fn fault(&self, now: Instant) -> Option<RuntimeFault> {
        let hangs = self.hangs(now) || self.loads_for_ever(now);
        let hangs = hangs.then_some(RuntimeFault::Hangs);
        self.fault.filter(|_| !self.steady(now)).max(hangs)
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
        self.fault = self.fault(now);
    }

    fn steady(&self, now: Instant) -> bool {
        self.warm && now.duration_since(self.warm_since) >= STEADY
    }

    fn loads_for_ever(&self, now: Instant) -> bool {
        let loads = self.phase == Runtime::Running && !self.warm;
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
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::waiting(Runtime::Waiting, 1000, false)]
    #[case::starting(Runtime::Starting, 299, false)]
    #[case::never_listens(Runtime::Starting, 301, true)]
    #[case::answers(Runtime::Running, 29, false)]
    #[case::silent(Runtime::Running, 31, true)]
    #[case::ended(Runtime::Ended { code: 1 }, 1000, false)]
    fn only_a_started_engine_hangs(
        #[case] phase: Runtime,
        #[case] seconds: u64,
        #[case] hangs: bool,
    ) {
        let now = Instant::now();
        let mut view = RuntimeView::new(now);
        view.enter(phase, now);
        assert_eq!(view.hangs(now + Duration::from_secs(seconds)), hangs);
    }

    #[test]
    fn a_sign_of_life_counts_for_the_engine_that_gave_it() {
        let now = Instant::now();
        let mut view = RuntimeView::new(now);
        view.enter(Runtime::Starting, now);
        view.enter(Runtime::Running, now);
        view.warm = true;
        let later = now + Duration::from_secs(25);
        view.sign = later;
        assert!(!view.hangs(later + Duration::from_secs(25)));
        view.enter(Runtime::Ended { code: 1 }, later);
        view.enter(Runtime::Starting, later);
        assert_eq!((view.run, view.warm), (2, false));
    }

    /// What happens, and after how many seconds.
    #[derive(Clone, Copy)]
    enum E {
        Starts,
        Serves,
        Ends(i32),
        IsTold,
        Goes,
    }

    use E::{Ends, Goes, IsTold, Serves, Starts};
    use RuntimeFault::{Ended, Failing, Hangs, OutOfMemory};

    #[rstest::rstest]
    #[case::fine(&[(0, Starts), (9, Serves)], 9, None)]
    #[case::once(&[(0, Starts), (0, Serves), (9, Ends(1))], 1, Some(Ended))]
    #[case::again_and_again(&[(0, Starts), (0, Ends(1)), (1, Starts), (0, Ends(1)), (2, Starts), (0, Ends(1))], 1, Some(Failing))]
    #[case::it_serves_between(&[(0, Starts), (0, Serves), (9, Ends(1)), (1, Starts), (0, Serves), (9, Ends(1)), (2, Starts), (0, Serves), (9, Ends(1)), (4, Starts), (0, Serves)], 299, Some(Failing))]
    #[case::steady_again(&[(0, Starts), (0, Ends(1)), (1, Starts), (0, Ends(1)), (2, Starts), (0, Ends(1)), (4, Starts), (0, Serves)], 300, None)]
    #[case::ends_long_apart(&[(0, Starts), (0, Serves), (300, Ends(1)), (0, Starts), (0, Serves), (300, Ends(1)), (0, Starts), (0, Serves), (300, Ends(1))], 0, Some(Ended))]
    #[case::killed(&[(0, Starts), (0, Serves), (9, Ends(137)), (1, Starts)], 9, Some(OutOfMemory))]
    #[case::killed_and_more(&[(0, Starts), (0, Ends(137)), (1, Starts), (0, Ends(1)), (2, Starts), (0, Ends(1))], 9, Some(OutOfMemory))]
    #[case::silent(&[(0, Starts), (0, Serves)], 31, Some(Hangs))]
    #[case::never_listens(&[(0, Starts)], 301, Some(Hangs))]
    #[case::a_hang_that_the_kubelet_ended(&[(0, Starts), (301, IsTold), (0, Ends(143)), (0, Goes), (1, Starts)], 1, Some(Hangs))]
    #[case::told_to_end(&[(0, Starts), (0, Serves), (9, IsTold), (0, Ends(0)), (0, Goes)], 1, None)]
    #[case::its_container_died(&[(0, Starts), (0, Serves), (9, Goes)], 1, Some(Ended))]
    #[case::nothing_ran(&[(0, Goes)], 1, None)]
    fn faults(
        #[case] events: &[(u64, E)],
        #[case] after: u64,
        #[case] fault: Option<RuntimeFault>,
    ) {
        let mut now = Instant::now();
        let mut view = RuntimeView::new(now);
        for (seconds, event) in events {
            now += Duration::from_secs(*seconds);
            // It answers whatever it is asked, while it lives.
            view.sign = now;
            match event {
                Starts => view.enter(Runtime::Starting, now),
                Serves => {
                    view.enter(Runtime::Running, now);
                    view.warmed(now);
                }
                Ends(code) => view.enter(Runtime::Ended { code: *code }, now),
                IsTold => view.enter(Runtime::Stopping, now),
                Goes => view.gone(now),
            }
        }
        now += Duration::from_secs(after);
        if after > 31 && view.warm {
            view.sign = now;
        }
        assert_eq!(view.fault(now), fault);
    }

    #[test]
    fn an_engine_that_loads_for_ever_is_told_of_and_lives() {
        let now = Instant::now();
        let mut view = RuntimeView::new(now);
        view.enter(Runtime::Starting, now);
        view.enter(Runtime::Running, now);
        for (seconds, fault) in [(1_800, None), (1_801, Some(Hangs))] {
            let later = now + Duration::from_secs(seconds);
            view.sign = later;
            assert_eq!((view.fault(later), view.hangs(later)), (fault, false));
        }
    }
}
