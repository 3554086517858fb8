//! What the gate knows of the engine behind launch: pure, with the time passed in.

use std::time::{Duration, Instant};

use crate::seal::lease::Runtime;

/// An engine that was started and whose socket is not there after this time hangs.
const START_LIMIT: Duration = Duration::from_secs(300);
/// An engine whose socket is there and that gives no sign of life for this time hangs.
const SIGN_LIMIT: Duration = Duration::from_secs(30);

/// What launch has said, and what the gate saw of the engine.
#[derive(Clone, Debug)]
pub struct RuntimeView {
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
            connected: false,
            locks: Vec::new(),
            phase: Runtime::Waiting,
            run: 0,
            warm: false,
            since: now,
            sign: now,
        }
    }

    /// Launch says where the engine is.
    pub fn enter(&mut self, phase: Runtime, now: Instant) {
        match phase {
            Runtime::Hello { .. } | Runtime::Stopping => return,
            Runtime::Starting => self.run += 1,
            Runtime::Running if self.phase == Runtime::Waiting => self.run += 1,
            _ => {}
        }
        if self.phase != phase {
            self.warm = false;
        }
        self.phase = phase;
        self.since = now;
        self.sign = now;
    }

    /// Whether a started engine hangs.
    #[must_use]
    pub fn hangs(&self, now: Instant) -> bool {
        match self.phase {
            Runtime::Starting => now.duration_since(self.since) > START_LIMIT,
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
}
