//! The calls that are under way in one child, and to which of them belongs what it says.
//!
//! The child sees numbers of the gate only, as ids and as progress tokens. An answer goes to the one call that has its
//! number, with the id that the client gave; what has the number of no call goes to nobody.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use super::call::Said;
use crate::mcp::translate::SUBSCRIPTION;
use crate::mcp::{Id, LOG, Level, Message, Object};

/// A call that was given up may ask and log on for so long, if the child has not answered it: whose a question is nobody
/// knows until then.
const LINGERS: Duration = Duration::from_secs(30);
/// Most of such calls that are remembered: while there are more, the newest keep the child silent.
const MAX_LINGERING: usize = 256;

/// All of one child.
#[derive(Debug, Default)]
pub struct Calls {
    last: u64,
    waiting: HashMap<u64, Waiter>,
    given_up: VecDeque<(u64, Instant)>,
    /// Nobody answers any more.
    over: bool,
}

/// Who waits for an answer.
#[derive(Debug)]
pub struct Waiter {
    /// The client's id.
    pub id: Id,
    /// The client's progress token.
    pub token: Option<Box<RawValue>>,
    /// Where its notifications go, and its questions.
    pub notes: mpsc::Sender<Said>,
    /// Where its answer goes.
    pub answer: oneshot::Sender<Said>,
    /// What its client hears.
    pub hears: Hears,
}

/// What a call hears before its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// What names it: the gate asks, or a client that only listens.
    Own,
    /// All that the server logs, too: the child is its session's alone.
    Log,
    /// The same of a client without a session, whose child serves others as well.
    Stateless {
        /// From which level on it wants the log. A client that names none must get nothing of it (2026-07-28, Logging).
        from: Option<Level>,
        /// Whether it hears what the server asks.
        asks: bool,
    },
}

impl Hears {
    /// Whether it is to hear this line of the log, if that is about it.
    fn wants(self, note: &Message) -> bool {
        match self {
            Self::Own => false,
            Self::Log => true,
            Self::Stateless { from, .. } => from.is_some_and(|from| {
                let params = note.params().unwrap_or_default();
                Level::said(&params).is_some_and(|level| level >= from)
            }),
        }
    }
}

impl Calls {
    /// The number of the next call; `None` when it is over.
    pub fn number(&mut self) -> Option<u64> {
        if self.over {
            return None;
        }
        self.last += 1;
        Some(self.last)
    }

    /// A call of that number begins.
    pub fn begin(&mut self, number: u64, waiter: Waiter) {
        self.waiting.insert(number, waiter);
    }

    /// It is over: whoever waits hears of it at once, and nobody can begin to.
    pub fn end(&mut self) {
        self.over = true;
        self.waiting.clear();
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.waiting.len()
    }

    /// Nobody waits for call `number` any more; whether it was under way.
    pub fn forget(&mut self, number: u64, now: Instant) -> bool {
        let there = self.waiting.remove(&number).is_some();
        if there {
            self.given_up.push_back((number, now));
            if self.given_up.len() > MAX_LINGERING {
                self.given_up.pop_front();
            }
        }
        there
    }

    /// Who waits for the answer to call `number`, and does no longer.
    pub fn answered(&mut self, number: u64) -> Option<Waiter> {
        self.given_up.retain(|(given_up, _)| *given_up != number);
        self.waiting.remove(&number)
    }

    /// The client of call `number` is back with another request: from now on it knows its progress by this, and hears
    /// this.
    pub fn rename(&mut self, number: u64, token: Option<Box<RawValue>>, hears: Hears) {
        if let Some(waiter) = self.waiting.get_mut(&number) {
            (waiter.token, waiter.hears) = (token, hears);
        }
    }

    /// Whether a call was given up of which the child may not know yet.
    fn lingers(&mut self, now: Instant) -> bool {
        let lingers = |at: Instant| now.saturating_duration_since(at) < LINGERS;
        self.given_up.retain(|(_, at)| lingers(*at));
        !self.given_up.is_empty()
    }

    /// Gives a question to the call that it belongs to. A question does not say to which: it is clear only where one call
    /// is under way, and none was given up of which the child may not know yet.
    ///
    /// # Errors
    /// The question, where that is not clear, or the client can be asked nothing.
    pub fn question(&mut self, said: Said, now: Instant) -> Result<(), Said> {
        let lingers = self.lingers(now);
        let mut waiting = self.waiting.values();
        match (waiting.next(), waiting.next()) {
            (Some(waiter), None)
                if matches!(waiter.hears, Hears::Stateless { asks: true, .. }) && !lingers =>
            {
                waiter.notes.try_send(said).map_err(|error| match error {
                    mpsc::error::TrySendError::Full(said)
                    | mpsc::error::TrySendError::Closed(said) => said,
                })
            }
            _ => Err(said),
        }
    }

    /// Gives a note to the call that it names, by the number that stands for the client's progress token or for its
    /// subscription; the client's own goes back in its place.
    ///
    /// # Errors
    /// The note, where it names no call.
    pub fn note(&self, mut note: Said) -> Result<(), Said> {
        let Ok(mut params) = note.message.params() else {
            return Err(note);
        };
        let mut meta = params.object("_meta").unwrap_or_default();
        let number = |object: &Object, name| Id::parse(object.get(name)?)?.as_number();
        let token = number(&params, "progressToken");
        let subscription = number(&meta, SUBSCRIPTION);
        let waiter = token
            .or(subscription)
            .and_then(|number| self.waiting.get(&number));
        let Some(waiter) = waiter else {
            return Err(note);
        };
        if token.is_some() {
            let Some(own) = &waiter.token else {
                return Ok(());
            };
            params.set("progressToken", own.clone());
        } else {
            meta.put(SUBSCRIPTION, &waiter.id);
            params.put("_meta", &meta);
        }
        if note.message.method() == Some(LOG) && !waiter.hears.wants(&note.message) {
            return Ok(());
        }
        note.message.body.put("params", &params);
        let _ = waiter.notes.try_send(note);
        Ok(())
    }

    /// Gives a line of the log to the only call under way that could hear it, if that wants it. A call of another client
    /// that was given up is no longer under way, and the child may log about it all the same.
    ///
    /// # Errors
    /// The note, where nobody knows which call it is about, or none hears it.
    pub fn to_only(&mut self, note: Said, now: Instant) -> Result<(), Said> {
        let lingers = self.lingers(now);
        let mut waiting = self
            .waiting
            .values()
            .filter(|waiter| waiter.hears != Hears::Own);
        match (waiting.next(), waiting.next()) {
            (Some(waiter), None)
                if waiter.hears.wants(&note.message)
                    && (waiter.hears == Hears::Log || !lingers) =>
            {
                let _ = waiter.notes.try_send(note);
                Ok(())
            }
            _ => Err(note),
        }
    }
}

/// With the gate's number as its id and, where it asks for progress, as the token of that.
#[must_use]
pub fn numbered(request: Message, number: u64) -> (Message, Option<Box<RawValue>>) {
    let mut request = request.with_id(&Id::number(number));
    let params = request.params().unwrap_or_default();
    let Some(mut meta) = params.object("_meta") else {
        return (request, None);
    };
    let Some(token) = meta.get("progressToken").map(ToOwned::to_owned) else {
        return (request, None);
    };
    meta.put("progressToken", &number);
    request.body.put("params", &params.with("_meta", &meta));
    (request, Some(token))
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
