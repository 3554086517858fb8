//! How one pass of a reconciler ends, and when the next one begins.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use kube::runtime::controller::Action;

use super::apply::Ack;
use crate::api::Reason;

/// The watch shows what was written, and triggers; this is for an event that was missed.
const SHOWN: Duration = Duration::from_secs(10);

/// The end of a pass, by what happens next.
#[derive(Debug)]
pub enum Outcome {
    /// Everything is as written; the next change triggers.
    Done,
    /// Something is on its way: look again after that time unless a change triggers before.
    Waiting {
        /// Why, as the conditions say it.
        reason: Reason,
        /// For people.
        message: String,
        /// When to look again.
        after: Duration,
    },
    /// Somebody must mend something.
    Stalled(Stall),
    /// Trouble that may pass by itself: tried again, later each time.
    Transient {
        /// For people; holds no text of a runtime or registry.
        message: String,
    },
}

/// What somebody must mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Why.
    pub reason: Reason,
    /// What to do.
    pub message: String,
    /// When to look again although nothing that is watched changed; never, where a change will show.
    pub recheck: Option<Duration>,
}

impl Stall {
    /// A stall that ends with a change that is watched.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            recheck: None,
        }
    }

    /// A stall whose cure is not watched.
    #[must_use]
    pub fn recheck(mut self, after: Duration) -> Self {
        self.recheck = Some(after);
        self
    }
}

impl Outcome {
    /// Of an object whose workload came to this, and which waits for nothing else. The numbers that the store has of one
    /// that was written are those of the template before.
    #[must_use]
    pub fn of_pods(written: Ack) -> Self {
        match written {
            Ack::Unchanged => Self::Done,
            Ack::Written => Self::Waiting {
                reason: Reason::RollingOut,
                message: "the Deployment was written".to_owned(),
                after: SHOWN,
            },
            Ack::Contested { message, after } => {
                Self::Stalled(Stall::new(Reason::TemplateContested, message).recheck(after))
            }
        }
    }

    /// Nothing else is to be done, and something may be to say after that time.
    #[must_use]
    pub fn by(self, again: Option<Duration>) -> Self {
        match (self, again) {
            (Self::Done, Some(after)) => Self::Waiting {
                reason: Reason::RollingOut,
                message: "a pod has not begun yet".to_owned(),
                after,
            },
            (outcome, _) => outcome,
        }
    }

    /// The word for metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Waiting { .. } => "waiting",
            Self::Stalled(_) => "stalled",
            Self::Transient { .. } => "transient",
        }
    }
}

/// Counts failures per object: 1 s, doubled each time, at most five minutes.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

/// More objects than that share one count: memory stays bounded whatever fails.
const TRACKED: usize = 4_096;
const LONGEST: Duration = Duration::from_secs(300);

impl Backoff {
    /// When to look at the object again after this outcome.
    pub fn action(&self, key: &str, outcome: &Outcome) -> Action {
        match outcome {
            Outcome::Transient { .. } => Action::requeue(self.failed(key)),
            Outcome::Waiting { after, .. } => {
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
    pub fn failed(&self, key: &str) -> Duration {
        let mut failures = self.lock();
        let key = if failures.len() < TRACKED || failures.contains_key(key) {
            key
        } else {
            "others"
        };
        let count = failures.entry(key.to_owned()).or_insert(0);
        let wait = Duration::from_secs(1 << (*count).min(9));
        *count = count.saturating_add(1);
        wait.min(LONGEST)
    }

    /// Forgets the failures of an object that went well or is gone.
    pub fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
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
        let waits: Vec<u64> = (0..12).map(|_| backoff.failed("a").as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(backoff.failed("b").as_secs(), 1);
        backoff.action("a", &Outcome::Done);
        assert_eq!(backoff.failed("a").as_secs(), 1);
    }

    #[test]
    fn the_map_is_bounded() {
        let backoff = Backoff::default();
        for i in 0..TRACKED + 100 {
            backoff.failed(&i.to_string());
        }
        assert!(backoff.lock().len() <= TRACKED + 1);
    }

    /// What is to be said by then hastens nothing that is on its way, and wakes nobody who waits for a change.
    #[test]
    fn only_what_is_done_is_looked_at_again() {
        let again = Some(Duration::from_secs(7));
        let at = |outcome: Outcome| Backoff::default().action("a", &outcome.by(again));
        assert_eq!(at(Outcome::Done), Action::requeue(Duration::from_secs(7)));
        let stall = Outcome::Stalled(Stall::new(Reason::InvalidSpec, ""));
        assert_eq!(at(stall), Action::await_change());
        assert_eq!(Outcome::Done.by(None).as_str(), "done");
    }

    #[test]
    fn stalled_objects_wait_for_a_change() {
        let stall = Stall::new(Reason::RegistryNotDeclared, "");
        let backoff = Backoff::default();
        assert_eq!(
            backoff.action("a", &Outcome::Stalled(stall.clone())),
            Action::await_change()
        );
        let minute = Duration::from_secs(60);
        assert_eq!(
            backoff.action("a", &Outcome::Stalled(stall.recheck(minute))),
            Action::requeue(minute)
        );
    }
}
