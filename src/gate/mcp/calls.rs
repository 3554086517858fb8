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
use crate::mcp::{Id, Message};

/// A call that was given up may ask on for so long, if the child has not answered it: whose a question is nobody knows
/// until then.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hears {
    /// What names it: the gate asks, or a client that only listens.
    Own,
    /// What the server logs, too.
    Log,
    /// What it asks, too.
    Questions,
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

    /// From now on the client of call `number` knows its progress by this.
    pub fn rename(&mut self, number: u64, token: Option<Box<RawValue>>) {
        if let Some(waiter) = self.waiting.get_mut(&number) {
            waiter.token = token;
        }
    }

    /// Gives a question to the call that it belongs to. A question does not say to which: it is clear only where one call
    /// is under way, and none was given up of which the child may not know yet.
    ///
    /// # Errors
    /// The question, where that is not clear, or the client can be asked nothing.
    pub fn question(&mut self, said: Said, now: Instant) -> Result<(), Said> {
        let lingers = |at: Instant| now.saturating_duration_since(at) < LINGERS;
        self.given_up.retain(|(_, at)| lingers(*at));
        let mut waiting = self.waiting.values();
        match (waiting.next(), waiting.next()) {
            (Some(waiter), None)
                if waiter.hears == Hears::Questions && self.given_up.is_empty() =>
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
        let token = params.read::<u64>("progressToken");
        // Some servers write the id that they were given as a number as a text.
        let subscription = meta.read::<u64>(SUBSCRIPTION);
        let subscription = subscription.or_else(|| meta.text(SUBSCRIPTION)?.parse().ok());
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
        note.message.body.put("params", &params);
        let _ = waiter.notes.try_send(note);
        Ok(())
    }

    /// Gives a note to the only call under way that hears the log.
    ///
    /// # Errors
    /// The note, where there are several or none.
    pub fn to_only(&self, note: Said) -> Result<(), Said> {
        let mut waiting = self
            .waiting
            .values()
            .filter(|waiter| waiter.hears >= Hears::Log);
        let (Some(waiter), None) = (waiting.next(), waiting.next()) else {
            return Err(note);
        };
        let _ = waiter.notes.try_send(note);
        Ok(())
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
mod tests {
    use super::*;
    use crate::mcp::Object;

    fn begin(calls: &mut Calls, hears: Hears) -> (u64, mpsc::Receiver<Said>) {
        let (notes, heard) = mpsc::channel(1);
        let number = calls.number().unwrap();
        let waiter = Waiter {
            id: Id::number(7),
            token: None,
            notes,
            answer: oneshot::channel().0,
            hears,
        };
        calls.begin(number, waiter);
        (number, heard)
    }

    fn question() -> Said {
        Message::request(&Id::number(1), "roots/list", Object::default()).into()
    }

    #[test]
    fn a_question_belongs_to_the_only_call() {
        let now = Instant::now();
        let mut calls = Calls::default();
        assert!(calls.question(question(), now).is_err(), "of nobody");
        let (one, mut heard) = begin(&mut calls, Hears::Questions);
        calls.question(question(), now).unwrap();
        assert!(heard.try_recv().is_ok());
        let (two, mut other) = begin(&mut calls, Hears::Questions);
        assert!(calls.question(question(), now).is_err(), "of which?");
        assert!(heard.try_recv().is_err() && other.try_recv().is_err());
        assert!(calls.answered(one).is_some());
        calls.question(question(), now).unwrap();
        assert!(other.try_recv().is_ok());
        assert!(calls.answered(two).is_some());
        let (_three, _heard) = begin(&mut calls, Hears::Log);
        assert!(calls.question(question(), now).is_err(), "nothing is asked");
    }

    #[test]
    fn a_call_that_was_given_up_may_be_the_one_that_asks() {
        let now = Instant::now();
        let mut calls = Calls::default();
        let (gone, _heard) = begin(&mut calls, Hears::Questions);
        assert!(calls.forget(gone, now));
        let (_there, mut heard) = begin(&mut calls, Hears::Questions);
        assert!(calls.question(question(), now).is_err());
        assert!(calls.answered(gone).is_none());
        calls.question(question(), now).unwrap();
        assert!(heard.try_recv().is_ok(), "it was answered late");
        let (again, _heard) = begin(&mut calls, Hears::Questions);
        calls.forget(again, now);
        assert!(calls.question(question(), now).is_err());
        calls.question(question(), now + LINGERS).unwrap();
        assert!(heard.try_recv().is_ok(), "it had its time");
    }

    fn of_subscription(id: &serde_json::Value) -> Said {
        let meta = serde_json::json!({ SUBSCRIPTION: id });
        let params = Object::default().with("_meta", &meta);
        Message::notification("notifications/x", &params).into()
    }

    /// The id of a subscription goes out as a number, and some servers give it back as a text.
    #[test]
    fn a_note_belongs_to_the_subscription_that_it_names() {
        let mut calls = Calls::default();
        let (number, mut heard) = begin(&mut calls, Hears::Own);
        for id in [serde_json::json!(number), number.to_string().into()] {
            calls.note(of_subscription(&id)).unwrap();
            let said = heard.try_recv().unwrap().message;
            let meta = said.params().unwrap().object("_meta").unwrap();
            assert_eq!(meta.read::<u64>(SUBSCRIPTION), Some(7), "the client's own");
        }
        for id in ["", "two", "-1"] {
            assert!(calls.note(of_subscription(&id.into())).is_err(), "{id}");
        }
    }

    #[test]
    fn a_log_is_for_the_only_client_that_waits() {
        let log = || {
            Said::from(Message::notification(
                "notifications/message",
                &Object::default(),
            ))
        };
        let mut calls = Calls::default();
        let (_own, _heard) = begin(&mut calls, Hears::Own);
        assert!(calls.to_only(log()).is_err(), "no client waits");
        let (_one, mut heard) = begin(&mut calls, Hears::Log);
        calls.to_only(log()).unwrap();
        assert!(heard.try_recv().is_ok());
        let (_two, _heard) = begin(&mut calls, Hears::Log);
        assert!(calls.to_only(log()).is_err(), "of which?");
    }
}
