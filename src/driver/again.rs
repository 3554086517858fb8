//! How often something is done that somebody else undoes each time; pure, with the time passed in.

use std::time::{Duration, Instant};

/// From the first time to the second, doubled by every further one.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
/// After so long without another time it begins anew.
const REST: Duration = Duration::from_secs(600);

/// Times in a row, each no sooner after the one before than the last wait: 10 s, doubled, at most five minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Again {
    times: u32,
    last: Option<Instant>,
}

impl Again {
    /// How long the next time has to wait yet; nothing when it may be now.
    #[must_use]
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.last?);
        let left = self.wait().saturating_sub(passed);
        (!left.is_zero()).then_some(left)
    }

    /// It is done now.
    pub fn done(&mut self, now: Instant) {
        if self.rested(now) {
            self.times = 0;
        }
        self.times = self.times.saturating_add(1);
        self.last = Some(now);
    }

    /// From the last time to the next one at the earliest.
    #[must_use]
    pub fn wait(&self) -> Duration {
        match self.times.checked_sub(1) {
            Some(before) => FIRST.saturating_mul(1 << before.min(5)).min(LONGEST),
            None => Duration::ZERO,
        }
    }

    /// Times in a row.
    #[must_use]
    pub fn times(&self) -> u32 {
        self.times
    }

    /// When it was done last.
    #[must_use]
    pub fn last(&self) -> Option<Instant> {
        self.last
    }

    /// Whether the last time is so long ago that the next one is the first.
    #[must_use]
    pub fn rested(&self, now: Instant) -> bool {
        self.last
            .is_none_or(|last| now.saturating_duration_since(last) >= REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, begin: Instant) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    /// Done as soon as it may be, and as often.
    #[rstest::rstest]
    #[case::never(0, 0)]
    #[case::once(1, 10)]
    #[case::twice(2, 20)]
    #[case::five(5, 160)]
    #[case::six(6, 300)]
    #[case::for_ever(100, 300)]
    fn waits_are_doubled_up_to_five_minutes(#[case] times: u32, #[case] wait: u64) {
        let mut again = Again::default();
        let mut now = Instant::now();
        for _ in 0..times {
            now += again.left(now).unwrap_or_default();
            again.done(now);
        }
        assert_eq!((again.times(), again.wait().as_secs()), (times, wait));
        assert_eq!(again.left(now).map_or(0, |left| left.as_secs()), wait);
        assert_eq!(again.left(now + again.wait()), None);
    }

    #[test]
    fn ten_minutes_of_rest_begin_it_anew() {
        let begin = Instant::now();
        let mut again = Again::default();
        again.done(begin);
        again.done(after(60, begin));
        again.done(after(659, begin));
        assert_eq!(again.times(), 3);
        assert!(!again.rested(after(1_258, begin)));
        assert!(again.rested(after(1_259, begin)));
        again.done(after(1_259, begin));
        assert_eq!((again.times(), again.wait().as_secs()), (1, 10));
    }
}
