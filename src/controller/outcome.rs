//! How one pass of a reconciler ends, and when the next one begins.

use std::time::Duration;

use super::apply::Ack;
use crate::api::Reason;

mod backoff;

pub use backoff::Backoff;

/// The watch shows what was written, and triggers; this is for an event that was missed.
const SHOWN: Duration = Duration::from_secs(10);

/// The end of a pass, by what happens next.
#[derive(Debug)]
pub enum Outcome {
    /// Everything is as written; the next change triggers.
    Done,
    /// The same, and after that time there may be something to do or to say although nothing changes.
    DoneFor(Duration),
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
            Ack::Later(after) => Self::DoneFor(after),
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

    /// The same of an object that has this child, too.
    #[must_use]
    pub fn with(self, child: Ack) -> Self {
        match (self, child) {
            (Self::Done | Self::DoneFor(_), contested @ Ack::Contested { .. }) => {
                Self::of_pods(contested)
            }
            (outcome, child) => outcome.by(child.again()),
        }
    }

    /// Where nothing else is to be done, it is looked at again after that time at the latest.
    #[must_use]
    pub fn by(self, again: Option<Duration>) -> Self {
        match (self, again) {
            (Self::Done, Some(after)) => Self::DoneFor(after),
            (Self::DoneFor(before), Some(after)) => Self::DoneFor(before.min(after)),
            (outcome, _) => outcome,
        }
    }

    /// The word for metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done | Self::DoneFor(_) => "done",
            Self::Waiting { .. } => "waiting",
            Self::Stalled(_) => "stalled",
            Self::Transient { .. } => "transient",
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::controller::Action;

    use super::*;

    /// What is to be said by then hastens nothing that is on its way, and wakes nobody who waits for a change.
    #[test]
    fn only_what_is_done_is_looked_at_again() {
        let again = Some(Duration::from_secs(7));
        let at = |outcome: Outcome| Backoff::default().action("a", &outcome.by(again));
        assert_eq!(at(Outcome::Done), Action::requeue(Duration::from_secs(7)));
        let sooner = Outcome::DoneFor(Duration::from_secs(3));
        assert_eq!(at(sooner), Action::requeue(Duration::from_secs(3)));
        let stall = Outcome::Stalled(Stall::new(Reason::InvalidSpec, ""));
        assert_eq!(at(stall), Action::await_change());
        assert_eq!(Outcome::Done.by(None).as_str(), "done");
    }

    /// A Service that was deleted before the store has shown it is missed by nobody else.
    #[rstest::rstest]
    #[case::as_wanted(Ack::Unchanged, Ack::Unchanged, "done", None)]
    #[case::address(Ack::Unchanged, Ack::Written, "done", Some(10))]
    #[case::labels(Ack::Later(Duration::from_secs(7)), Ack::Written, "done", Some(7))]
    #[case::pods(Ack::Written, Ack::Unchanged, "waiting", Some(10))]
    #[case::contested(Ack::Unchanged, contested(), "stalled", Some(20))]
    #[case::both(Ack::Written, contested(), "waiting", Some(10))]
    fn what_was_written_is_looked_at_again(
        #[case] pods: Ack,
        #[case] address: Ack,
        #[case] word: &str,
        #[case] again: Option<u64>,
    ) {
        let outcome = Outcome::of_pods(pods).with(address);
        assert_eq!(outcome.as_str(), word);
        let again = again.map(Duration::from_secs);
        let action = again.map_or_else(Action::await_change, Action::requeue);
        assert_eq!(Backoff::default().action("a", &outcome), action);
    }

    fn contested() -> Ack {
        Ack::Contested {
            message: "somebody".to_owned(),
            after: Duration::from_secs(20),
        }
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
