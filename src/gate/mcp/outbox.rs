//! What waits for a client to read it: one stream of events, numbered, so that a client whose connection broke can take
//! it up again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::budget::{Budget, held};
use super::call::Said;
use super::unheard::Unheard;
use super::waiting::{Entry, Waiting};
use crate::mcp::Message;

pub use super::waiting::{Bound, CALL, Event, LISTEN, STANDING};

/// What comes after the answer: a message and, where it is a question, who is told that nobody reads it.
pub type TooLate = (Said, Option<Unheard>);

#[derive(Debug, Default)]
struct State {
    waiting: Waiting,
    last: u64,
    /// Nothing more comes.
    closed: bool,
    /// The code of the error that the answer is.
    error: Option<i64>,
    /// The answer has a share of the memory.
    shares: bool,
    /// The number of the last event that was handed out.
    read: u64,
    /// Who reads.
    reader: CancellationToken,
}

/// A stream of events.
#[derive(Debug)]
pub struct Outbox {
    bound: Bound,
    /// Where the memory of what waits is from, in a stream that nobody may read for long.
    stands: Option<Arc<Budget>>,
    state: Mutex<State>,
    changed: Notify,
}

impl Outbox {
    /// An empty one.
    #[must_use]
    pub fn new(bound: Bound) -> Self {
        Self {
            bound,
            stands: None,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// An empty one that nobody may read for long: of all such streams together no more waits than this memory has for
    /// them.
    #[must_use]
    pub fn standing(bound: Bound, budget: &Arc<Budget>) -> Self {
        Self {
            stands: Some(Arc::clone(budget)),
            ..Self::new(bound)
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more message, and whether it waits now. Where too much waits, the oldest go.
    pub fn push(&self, said: Said) -> bool {
        self.offer(said, None).unwrap_or_default()
    }

    /// The same for a question. Once it has gone without having been read, `unheard` is dropped.
    pub fn ask(&self, said: Said, unheard: Unheard) {
        let _ = self.offer(said, Some(unheard));
    }

    /// Either of them, and whether it waits now.
    ///
    /// # Errors
    /// It, where nothing more comes.
    pub fn offer(&self, said: Said, unheard: Option<Unheard>) -> Result<bool, Box<TooLate>> {
        self.add(said, false, unheard)
    }

    /// The answer.
    pub fn finish(&self, said: Said) {
        let _ = self.add(said, true, None);
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
            state.waiting.clear();
        }
        self.changed.notify_waiters();
    }

    /// Nobody reads it at the moment. Where nothing more comes, only the answer waits for who comes back; whether it does.
    pub fn keep_answer(&self) -> bool {
        let mut state = self.state();
        if !state.closed {
            return false;
        }
        state.waiting.keep_answer();
        state.waiting.is_answer_next(0).is_some()
    }

    /// Whether the answer has a share of the memory.
    #[must_use]
    pub fn holds_share(&self) -> bool {
        self.state().shares
    }

    fn add(&self, said: Said, last: bool, unheard: Option<Unheard>) -> Result<bool, Box<TooLate>> {
        {
            let mut state = self.state();
            if state.closed {
                return Err(Box::new((said, unheard)));
            }
            let line = said.message.to_line();
            // The answer has a place, however much waits: nothing comes after it.
            let share = said.budget.filter(|_| self.bound.shares || last);
            if !self.bound.shares && !last && line.len() > self.bound.bytes {
                state.waiting.dropped += 1;
                return Ok(false);
            }
            let counted = share.is_some();
            let share = match &self.stands {
                Some(budget) if !last => {
                    let share = state.waiting.stand(budget, line.len());
                    if share.is_none() {
                        state.waiting.dropped += 1;
                        return Ok(false);
                    }
                    share
                }
                _ => share,
            };
            state.last += 1;
            state.shares = last && share.is_some();
            let event = Event {
                number: state.last,
                text: held(line, share),
                last,
            };
            state.closed = last;
            state.error = said.message.error_code().filter(|_| last);
            let entry = Entry {
                event,
                counted,
                unheard,
            };
            state.waiting.put(entry, self.bound);
        }
        self.changed.notify_waiters();
        Ok(true)
    }

    /// The first event after that number; `None` when nothing more comes. Whoever waits may be dropped.
    pub async fn after(&self, number: u64) -> Option<Event> {
        self.read(|waiting| waiting.after(number)).await
    }

    /// The answer, for who reads nothing before it; `None` where none comes.
    pub async fn answer(&self) -> Option<Event> {
        self.read(Waiting::answer).await
    }

    /// Waits until anything comes after that number: whether it is the answer. What that is nobody has read by it.
    pub async fn is_answer_next(&self, number: u64) -> bool {
        let next = self.wait(|state| state.waiting.is_answer_next(number));
        next.await.unwrap_or_default()
    }

    async fn read(&self, find: impl Fn(&mut Waiting) -> Option<Event>) -> Option<Event> {
        let found = self.wait(|state| {
            let event = find(&mut state.waiting)?;
            state.read = state.read.max(event.number);
            Some(event)
        });
        found.await
    }

    /// Until this is found; `None` when nothing more comes.
    async fn wait<T>(&self, find: impl Fn(&mut State) -> Option<T>) -> Option<T> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.state();
                let found = find(&mut state);
                if found.is_some() {
                    return found;
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

    /// Whether anything waits after that number, or may come.
    #[must_use]
    pub fn goes_on(&self, number: u64) -> bool {
        let state = self.state();
        !state.closed || state.waiting.is_answer_next(number).is_some()
    }

    /// Whether all of it was handed out, and nothing more comes. Its client has it, unless the connection broke.
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
        !self.state().waiting.is_empty()
    }

    /// Messages that nobody will read.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state().waiting.dropped
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
#[path = "outbox_tests.rs"]
mod tests;
