//! What of the stream of a server that speaks HTTP its client reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::budget::{self, Growing};
use super::events::Events;
use super::glances::Glances;
use super::shown::Shown;
use crate::gate::answer::BodyError;
use crate::gate::audit::Told;
use crate::mcp::Id;
use crate::mcp::glance::Answer;

/// What of a stream passes.
pub struct Passed {
    way: Way,
    watched: Watched,
}

enum Way {
    /// All as it comes, where there is neither filter nor pin.
    AsItComes(Glances),
    /// Whole events, as `shown` lets them.
    Looked {
        events: Events,
        shown: Shown,
        growing: Growing,
    },
}

impl Passed {
    /// Events of at most so many bytes, as `shown` lets them.
    #[must_use]
    pub fn new(longest: usize, shown: Shown, growing: Growing, watched: Watched) -> Self {
        let way = if shown.is_everything() {
            Way::AsItComes(Glances::default())
        } else {
            Way::Looked {
                events: Events::new(longest),
                shown,
                growing,
            }
        };
        Self { way, watched }
    }

    /// What the client gets when the server says this.
    ///
    /// # Errors
    /// An event is too long, or there is no memory for it.
    pub fn pass(&mut self, data: Bytes) -> Result<Bytes, BodyError> {
        let Self { way, watched } = self;
        match way {
            Way::AsItComes(glances) => {
                let seen = glances.push(&data);
                seen.iter().for_each(|answer| watched.sees(answer));
                Ok(data)
            }
            Way::Looked {
                events,
                shown,
                growing,
            } => {
                if !growing.to(events.waiting() + data.len()) {
                    return Err("there is no memory for the server's event".into());
                }
                let mut out = Vec::new();
                for event in events.push(&data)? {
                    let shaped = event.shaped(|message| {
                        let message = shown.answer(message);
                        if let Some(answer) = Answer::of(&message) {
                            watched.sees(&answer);
                        }
                        message
                    });
                    out.extend_from_slice(&shaped);
                }
                // A stream may stand for hours: what was needed for an event goes with it.
                let share = growing.leave(events.waiting());
                Ok(budget::held(out, share))
            }
        }
    }
}

/// What is remembered of a stream.
pub struct Watched {
    /// The code of the error that its call was answered with, or any where it is no call's.
    pub told: Told,
    /// The call, if it is one's, and whether it was answered.
    pub call: Option<(Id, Arc<AtomicBool>)>,
}

impl Watched {
    fn sees(&self, answer: &Answer) {
        if let Some((call, answered)) = &self.call {
            if !call.is(&answer.id) {
                return;
            }
            answered.store(true, Ordering::Relaxed);
        }
        if let Some(code) = answer.error {
            let _ = self.told.set(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gate::mcp::budget::{Budget, SMALL};
    use crate::gate::mcp::events::Event;
    use crate::gate::mcp::house::House;
    use crate::mcp::{Message, Object, Policy};

    impl Passed {
        /// Of the stream of call 7, and whether that was answered.
        pub(crate) fn sample(policy: Policy) -> (Self, Arc<AtomicBool>) {
            let dir = tempfile::tempdir().unwrap();
            let (house, _bridge) = House::sample(dir.path(), 2, Duration::from_secs(60));
            let house = Arc::new(house);
            let growing = Growing::new(Arc::new(Budget::new(1024 * 1024)));
            let (watched, answered) = watched();
            let shown = Shown { policy, house };
            (Self::new(1024 * 1024, shown, growing, watched), answered)
        }
    }

    fn watched() -> (Watched, Arc<AtomicBool>) {
        let answered = Arc::<AtomicBool>::default();
        let call = Some((Id::number(7), Arc::clone(&answered)));
        let told = Told::default();
        (Watched { told, call }, answered)
    }

    #[test]
    fn an_answer_is_that_of_its_call() {
        let (watched, answered) = watched();
        let error = |id, code| Answer {
            id,
            error: Some(code),
        };
        watched.sees(&error(Id::number(8), 1));
        assert!(!answered.load(Ordering::Relaxed));
        watched.sees(&error(Id::text("7"), 2));
        assert!(answered.load(Ordering::Relaxed));
        assert_eq!(watched.told.get(), Some(&2));
        let of_none = Watched {
            told: Told::default(),
            call: None,
        };
        of_none.sees(&error(Id::number(8), 1));
        assert_eq!(of_none.told.get(), Some(&1));
    }

    #[rstest::rstest]
    #[case::as_it_comes(Policy::All)]
    #[case::filtered(Policy::AllowListed(["echo".to_owned()].into()))]
    #[tokio::test]
    async fn a_long_answer_in_pieces_is_seen_when_all_of_it_has_passed(#[case] policy: Policy) {
        let (mut passed, answered) = Passed::sample(policy);
        // What was long before it hides nothing.
        let long = Object::default().with("data", &"x".repeat(3 * SMALL));
        let note = Event::of(&Message::notification("notifications/message", &long));
        let answer = Event::of(&Message::result(&Id::number(7), &long));
        let text = [&note[..], &answer[..]].concat();
        let (last, most) = text.split_last().unwrap();
        let mut out = Vec::new();
        for part in most.chunks(1000) {
            out.extend(passed.pass(Bytes::copy_from_slice(part)).unwrap());
        }
        assert!(!answered.load(Ordering::Relaxed));
        out.extend(passed.pass(Bytes::copy_from_slice(&[*last])).unwrap());
        assert!(answered.load(Ordering::Relaxed));
        assert_eq!(out, text);
    }
}
