//! The place of one caller's child: it, how long nobody has used it, and when it is had anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::MutexGuard;

use super::keeper::{BACK_OFF, MAX_BACK_OFF, STEADY};
use super::live::Live;

/// One of them.
#[derive(Debug)]
pub struct Slot {
    had: tokio::sync::Mutex<Had>,
    used: Mutex<Instant>,
}

/// The child, if there is one.
#[derive(Debug, Default)]
pub struct Had {
    live: Option<Arc<Live>>,
    pace: Pace,
}

impl Slot {
    /// Without a child yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            had: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
        }
    }

    /// Held while a child is had, so that one caller has one.
    pub async fn had(&self) -> MutexGuard<'_, Had> {
        self.had.lock().await
    }

    /// Somebody uses it.
    pub fn uses(&self) {
        *self.used() = Instant::now();
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long nobody has used it. The end of what used it counts, too.
    #[must_use]
    pub fn idle(&self) -> Duration {
        let in_use = match self.had.try_lock() {
            Err(_) => true,
            Ok(had) => had.live.as_ref().is_some_and(|live| live.child.is_used()),
        };
        if in_use {
            self.uses();
            return Duration::ZERO;
        }
        self.used().elapsed()
    }

    /// Whether it takes a place among the children.
    #[must_use]
    pub fn has_child(&self) -> bool {
        self.had.try_lock().is_ok_and(|had| had.live.is_some())
    }

    /// A child that ended gives up the place of another one.
    pub fn tidy(&self) {
        if let Ok(mut had) = self.had.try_lock()
            && had.live().is_none()
        {
            had.live = None;
        }
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

impl Had {
    /// The child, while it lives.
    #[must_use]
    pub fn live(&self) -> Option<Arc<Live>> {
        let live = self.live.as_ref().filter(|live| !live.child.is_over());
        live.map(Arc::clone)
    }

    /// The last one has ended, and its place is free.
    pub fn gone(&mut self) {
        self.live = None;
    }

    /// Another one was tried, for whomever: this came of it.
    pub fn tried(&mut self, live: Option<&Arc<Live>>) {
        self.live = live.map(Arc::clone);
        self.pace.tried(live.is_some(), Instant::now());
    }

    /// There is none: for how long nobody tries who sends no request.
    pub fn pause(&mut self) -> Duration {
        let now = Instant::now();
        self.pace.due(now).saturating_duration_since(now)
    }
}

/// When a child that ended or did not come is tried again: after ever longer pauses, until one stays. Whoever waits for it
/// has the same, so that it is tried once for all of them. Pure.
#[derive(Debug)]
struct Pace {
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

    fn tried(&mut self, came: bool, now: Instant) {
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
