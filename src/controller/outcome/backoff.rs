//! How long an object waits that fails again and again.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kube::runtime::controller::Action;

use super::Outcome;

/// Counts failures per object: 1 s, doubled each time, at most five minutes.
#[derive(Debug, Default)]
pub struct Backoff {
    /// How many in a row, and when the last one was.
    failures: Mutex<HashMap<String, (u32, Instant)>>,
}

/// More objects than that share one count: memory stays bounded whatever fails.
const TRACKED: usize = 4_096;
/// Who has not failed for so long is gone: nobody waits longer than [`LONGEST`] for the next time.
const GONE: Duration = Duration::from_secs(1_200);
const LONGEST: Duration = Duration::from_secs(300);

impl Backoff {
    /// When to look at the object again after this outcome.
    pub fn action(&self, key: &str, outcome: &Outcome) -> Action {
        match outcome {
            Outcome::Transient { .. } => Action::requeue(self.failed(key, Instant::now())),
            Outcome::Waiting { after, .. } | Outcome::DoneFor(after) => {
                self.forget(key);
                Action::requeue(*after)
            }
            Outcome::Stalled(stall) => {
                self.forget(key);
                stall
                    .recheck
                    .map_or_else(Action::await_change, Action::requeue)
            }
            Outcome::Done => {
                self.forget(key);
                Action::await_change()
            }
        }
    }

    /// Counts one failure and returns how long to wait.
    pub fn failed(&self, key: &str, now: Instant) -> Duration {
        let mut failures = self.lock();
        if failures.len() >= TRACKED && !failures.contains_key(key) {
            // An object that was deleted while it failed says nothing any more.
            failures.retain(|_, (_, last)| now.saturating_duration_since(*last) < GONE);
        }
        let key = if failures.len() < TRACKED || failures.contains_key(key) {
            key
        } else {
            "others"
        };
        let (count, last) = failures.entry(key.to_owned()).or_insert((0, now));
        let wait = Duration::from_secs(1 << (*count).min(9));
        *count = count.saturating_add(1);
        *last = now;
        wait.min(LONGEST)
    }

    /// Forgets the failures of an object that went well or is gone.
    pub fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (u32, Instant)>> {
        self.failures
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_each_time_and_are_forgotten() {
        let backoff = Backoff::default();
        let failed = |key| backoff.failed(key, Instant::now()).as_secs();
        let waits: Vec<u64> = (0..12).map(|_| failed("a")).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(failed("b"), 1);
        backoff.action("a", &Outcome::Done);
        assert_eq!(failed("a"), 1);
    }

    #[test]
    fn the_map_is_bounded() {
        let backoff = Backoff::default();
        let now = Instant::now();
        for i in 0..TRACKED + 100 {
            backoff.failed(&i.to_string(), now);
        }
        assert!(backoff.lock().len() <= TRACKED + 1);
        assert!(backoff.failed("new", now) > Duration::from_secs(1));
        // All of them were deleted since: whoever fails now begins anew.
        assert_eq!(backoff.failed("new", now + GONE), Duration::from_secs(1));
        assert_eq!(backoff.lock().len(), 1);
    }
}
