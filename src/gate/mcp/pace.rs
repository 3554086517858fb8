//! When a child that ended or did not come is tried again: pure.

use std::time::{Duration, Instant};

/// The first pause; it doubles.
pub const BACK_OFF: Duration = Duration::from_millis(250);
/// The longest one.
const MAX_BACK_OFF: Duration = Duration::from_secs(10);
/// A child that lived for so long starts the pauses anew.
const STEADY: Duration = Duration::from_secs(30);

/// After ever longer pauses, until a child stays. Whoever waits for it has the same, so that it is tried once for all.
#[derive(Debug)]
pub struct Pace {
    /// The next one.
    pause: Duration,
    /// Since when the last child lived, if it came.
    since: Option<Instant>,
    /// The end of the pause, once somebody waits.
    due: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            pause: BACK_OFF,
            since: None,
            due: None,
        }
    }
}

impl Pace {
    /// The last one has ended or did not come: how long to wait from now on. Who asks again meanwhile waits for the rest.
    pub fn pause(&mut self, now: Instant) -> Duration {
        self.due(now).saturating_duration_since(now)
    }

    fn due(&mut self, now: Instant) -> Instant {
        if let Some(due) = self.due {
            return due;
        }
        if self.since.is_some_and(|since| now - since > STEADY) {
            self.pause = BACK_OFF;
        }
        let due = now + self.pause;
        self.pause = (self.pause * 2).min(MAX_BACK_OFF);
        self.due = Some(due);
        due
    }

    /// One was tried, and came or did not.
    pub fn tried(&mut self, came: bool, now: Instant) {
        self.since = came.then_some(now);
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses, in milliseconds, where each child comes or not and lives for so long.
    fn pauses(pace: &mut Pace, now: &mut Instant, came: bool, lived: Duration) -> u128 {
        pace.tried(came, *now);
        *now += lived;
        let due = pace.due(*now);
        // Others who wait for it make it neither longer nor later.
        *now += Duration::from_millis(1);
        assert_eq!(pace.due(*now), due);
        let pause = due - (*now - Duration::from_millis(1));
        *now = due;
        assert_eq!(pace.due(*now), due);
        pause.as_millis()
    }

    #[rstest::rstest]
    #[case::none_comes(false, Duration::ZERO)]
    #[case::none_comes_after_a_long_time(false, 2 * STEADY)]
    #[case::none_stays(true, STEADY)]
    fn pauses_grow_until_a_child_stays(#[case] came: bool, #[case] lived: Duration) {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let grow: Vec<_> = (0..8)
            .map(|_| pauses(&mut pace, &mut now, came, lived))
            .collect();
        assert_eq!(grow, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(pauses(&mut pace, &mut now, true, 2 * STEADY), 250);
        assert_eq!(pauses(&mut pace, &mut now, false, Duration::ZERO), 500);
    }
}
