//! What waits for a client to read it: one stream of events, numbered, so that a client whose connection broke can take
//! it up again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::budget::held;
use super::call::Said;
use crate::mcp::Message;

/// How much waits.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Events.
    pub events: usize,
    /// Bytes.
    pub bytes: usize,
    /// Whether an event may take a share of the memory that all have, and be longer than that.
    pub shares: bool,
}

/// Of a call: what its client has not read yet is counted elsewhere, what it has read waits here for a while.
pub const CALL: Bound = Bound {
    events: 256,
    bytes: 64 * 1024,
    shares: true,
};
/// Of a session, beside its calls. Nobody may read it for long, so it takes nothing from others.
pub const STANDING: Bound = Bound {
    events: 32,
    bytes: 64 * 1024,
    shares: false,
};

/// One message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the stream, from 1 on.
    pub number: u64,
    /// The message. Its share of the memory is free when the last of it is dropped.
    pub text: Bytes,
    /// The answer: nothing comes after it.
    pub last: bool,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<(Event, Counted)>,
    bytes: usize,
    last: u64,
    /// Nothing more comes.
    closed: bool,
    /// The code of the error that the answer is.
    error: Option<i64>,
    dropped: u64,
    /// The number of the last event that was handed out.
    read: u64,
    /// Who reads.
    reader: CancellationToken,
}

/// Whether an event is counted elsewhere: it has a share of the memory, and its client has not read it yet.
type Counted = bool;

/// A stream of events.
#[derive(Debug)]
pub struct Outbox {
    bound: Bound,
    state: Mutex<State>,
    changed: Notify,
}

impl Outbox {
    /// An empty one.
    #[must_use]
    pub fn new(bound: Bound) -> Self {
        Self {
            bound,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more message, and whether it waits now. Where too much waits, the oldest go.
    pub fn push(&self, said: Said) -> bool {
        self.add(said, false)
    }

    /// The answer.
    pub fn finish(&self, said: Said) {
        self.add(said, true);
    }

    /// Ends it without an answer.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    /// Ends it, and gives up what nobody has read.
    pub fn forget(&self) {
        {
            let mut state = self.state();
            state.closed = true;
            state.bytes = 0;
            state.dropped += state.events.len() as u64;
            state.events.clear();
        }
        self.changed.notify_waiters();
    }

    fn add(&self, said: Said, last: bool) -> bool {
        {
            let mut state = self.state();
            if state.closed {
                return false;
            }
            let line = said.message.to_line();
            let share = said.budget.filter(|_| self.bound.shares);
            if !self.bound.shares && line.len() > self.bound.bytes {
                state.dropped += 1;
                return false;
            }
            let counted = share.is_some();
            state.last += 1;
            let event = Event {
                number: state.last,
                text: held(line, share),
                last,
            };
            state.closed = last;
            state.error = said.message.error_code().filter(|_| last);
            state.bytes += event.text.len();
            state.events.push_back((event, counted));
            state.cut(self.bound);
        }
        self.changed.notify_waiters();
        true
    }

    /// The first event after that number; `None` when nothing more comes. Whoever waits may be dropped.
    pub async fn after(&self, number: u64) -> Option<Event> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                let found = state
                    .events
                    .iter_mut()
                    .find(|(event, _)| event.number > number);
                if let Some((event, counted)) = found {
                    *counted = false;
                    let event = event.clone();
                    state.read = state.read.max(event.number);
                    return Some(event);
                }
                if state.closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// The number of the last event that anybody has read.
    #[must_use]
    pub fn read_up_to(&self) -> u64 {
        self.state().read
    }

    /// Whether all of it was read, and nothing more comes.
    #[must_use]
    pub fn is_read(&self) -> bool {
        let state = self.state();
        state.closed && state.read == state.last
    }

    /// Whoever read it until now no longer does: each message goes to one.
    #[must_use]
    pub fn take_over(&self) -> CancellationToken {
        let new = CancellationToken::new();
        std::mem::replace(&mut self.state().reader, new.clone()).cancel();
        new
    }

    /// The code of the error that the answer was.
    #[must_use]
    pub fn error(&self) -> Option<i64> {
        self.state().error
    }

    /// Whether anything is in it.
    #[cfg(test)]
    #[must_use]
    pub fn holds_anything(&self) -> bool {
        !self.state().events.is_empty()
    }

    /// Messages that nobody will read.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }
}

impl State {
    fn cut(&mut self, bound: Bound) {
        while self.events.len() > 1
            && (self.events.len() > bound.events || self.bytes - self.counted() > bound.bytes)
        {
            if let Some((event, _)) = self.events.pop_front() {
                self.bytes -= event.text.len();
                self.dropped += 1;
            }
        }
    }

    /// Bytes that are counted elsewhere.
    fn counted(&self) -> usize {
        let counted = self.events.iter().filter(|(_, counted)| *counted);
        counted.map(|(event, _)| event.text.len()).sum()
    }
}

/// A message of the gate's own.
impl From<Message> for Said {
    fn from(message: Message) -> Self {
        Self {
            message,
            budget: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::mcp::budget::Budget;
    use crate::mcp::{Id, Object};

    fn note(text: &str) -> Said {
        Message::notification("a", &Object::default().with("text", text)).into()
    }

    #[tokio::test]
    async fn a_stream_is_read_in_order_and_again() {
        let outbox = Outbox::new(CALL);
        outbox.push(note("1"));
        outbox.push(note("2"));
        outbox.finish(Message::result(&Id::number(1), &1).into());
        outbox.push(note("too late"));
        for _ in 0..2 {
            let mut seen = Vec::new();
            let mut at = 0;
            while let Some(event) = outbox.after(at).await {
                at = event.number;
                seen.push(event.last);
            }
            assert_eq!(seen, [false, false, true]);
        }
        assert_eq!(outbox.after(2).await.unwrap().number, 3);
    }

    #[tokio::test]
    async fn the_oldest_go_and_the_answer_stays() {
        let outbox = Outbox::new(Bound {
            events: 2,
            bytes: 1000,
            shares: true,
        });
        for _ in 0..9 {
            outbox.push(note("x"));
        }
        outbox.push(note(&"y".repeat(2000)));
        assert_eq!(outbox.after(0).await.unwrap().number, 10);
        outbox.finish(Message::result(&Id::number(1), &1).into());
        assert_eq!(outbox.after(0).await.unwrap().number, 11);
        assert_eq!(outbox.dropped(), 10);
    }

    #[tokio::test]
    async fn what_may_wait_for_long_takes_no_share_and_has_an_end() {
        let budget = Budget::new(1024 * 1024);
        let outbox = Outbox::new(STANDING);
        let said = |text: &str| Said {
            message: note(text).message,
            budget: budget.try_take(text.len()),
        };
        outbox.push(said(&"x".repeat(STANDING.bytes)));
        outbox.push(said(&"y".repeat(STANDING.bytes / 2)));
        assert!(budget.try_take(1024 * 1024).is_some());
        assert_eq!(outbox.dropped(), 1);
        outbox.push(said(&"z".repeat(STANDING.bytes / 2)));
        assert_eq!(outbox.after(0).await.unwrap().number, 2);
        assert_eq!(outbox.dropped(), 2);
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_the_end() {
        let outbox = std::sync::Arc::new(Outbox::new(CALL));
        let waits = std::sync::Arc::clone(&outbox);
        let waits = tokio::spawn(async move { waits.after(0).await });
        tokio::task::yield_now().await;
        outbox.close();
        assert_eq!(waits.await.unwrap(), None);
    }
}
