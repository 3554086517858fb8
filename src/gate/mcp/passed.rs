//! What of the stream of a server that speaks HTTP its client reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::budget::{self, Growing, SMALL};
use super::events::{Event, Events};
use super::shown::Shown;
use crate::gate::answer::BodyError;
use crate::gate::audit::Told;
use crate::mcp::{Id, Kind, Message};

/// The stream of a server's events, as its client may read them, with what it holds.
pub fn frames<H: Send + 'static>(
    body: Incoming,
    mut passing: Passed,
    held: H,
) -> impl stream::Stream<Item = Result<Frame<Bytes>, BodyError>> + Send {
    body.into_data_stream().map(move |data| {
        let _ = &held;
        Ok::<_, BodyError>(Frame::data(passing.pass(data?)?))
    })
}

/// What of a stream passes: without filter and pin all as it comes, otherwise whole events.
pub struct Passed {
    events: Events,
    shown: Shown,
    growing: Growing,
    watched: Watched,
    /// Events are still looked at, where all pass as they come.
    looks: bool,
}

impl Passed {
    /// Events of at most so many bytes, as `shown` lets them.
    #[must_use]
    pub fn new(longest: usize, shown: Shown, growing: Growing, watched: Watched) -> Self {
        // Only an answer is looked for then: errors are short, and after a long answer the server closes the stream.
        let longest = if shown.is_everything() {
            SMALL
        } else {
            longest
        };
        Self {
            events: Events::new(longest),
            shown,
            growing,
            watched,
            looks: true,
        }
    }

    fn pass(&mut self, data: Bytes) -> Result<Bytes, BodyError> {
        if self.shown.is_everything() {
            if self.looks {
                match self.events.push(&data) {
                    Ok(events) => events
                        .iter()
                        .filter_map(Event::message)
                        .for_each(|said| self.watched.sees(&said)),
                    Err(_) => self.looks = false,
                }
            }
            return Ok(data);
        }
        if !self.growing.to(self.events.waiting() + data.len()) {
            return Err("there is no memory for the server's event".into());
        }
        let mut out = Vec::new();
        for event in self.events.push(&data)? {
            let shaped = event.shaped(|message| {
                let message = self.shown.answer(message);
                self.watched.sees(&message);
                message
            });
            out.extend_from_slice(&shaped);
        }
        // A stream may stand for hours: what was needed for an event goes with it.
        let share = self.growing.leave(self.events.waiting());
        Ok(budget::held(out, share))
    }
}

/// What is remembered of a stream.
pub struct Watched {
    /// The code of the error that a call was answered with.
    pub told: Told,
    /// The call, if it is one's, and whether it was answered.
    pub call: Option<(Id, Arc<AtomicBool>)>,
}

impl Watched {
    fn sees(&self, said: &Message) {
        let Kind::Response { id } = &said.kind else {
            return;
        };
        if let Some((_, answered)) = self.call.as_ref().filter(|(call, _)| call == id) {
            answered.store(true, Ordering::Relaxed);
        }
        if let Some(code) = said.error_code() {
            let _ = self.told.set(code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Object;

    #[test]
    fn an_answer_is_that_of_its_call() {
        let answered = Arc::<AtomicBool>::default();
        let watched = Watched {
            told: Told::default(),
            call: Some((Id::number(7), Arc::clone(&answered))),
        };
        watched.sees(&Message::request(
            &Id::number(7),
            "roots/list",
            Object::default(),
        ));
        watched.sees(&Message::result(&Id::number(8), &1));
        assert!(!answered.load(Ordering::Relaxed));
        watched.sees(&Message::result(&Id::number(7), &1));
        assert!(answered.load(Ordering::Relaxed));
    }
}
