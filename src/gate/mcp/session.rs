//! A session of a client of the legacy era: whose it is, what is under way in it, and what waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::guests::Guest;
use super::live::Live;
use super::open::{MAX_CALLS, NotOpened, Open};
use super::outbox::{Outbox, STANDING};
use super::secret::secret;
use super::subscribed::{Subscribed, TooMany};
use crate::gate::callers::Pass;
use crate::mcp::translate::ClientSaid;
use crate::mcp::{Id, Message, Object, Version};

/// Answers that nobody has come back for.
const MAX_KEPT: usize = 16;
/// The stream beside the calls.
pub const STANDING_STREAM: u64 = 0;

/// A session.
#[derive(Debug)]
pub struct Session {
    /// What the client sends as `MCP-Session-Id`.
    pub id: String,
    /// Who has begun it: nobody else may use it.
    pub owner: String,
    /// What was agreed on.
    pub version: Version,
    /// Its own child; `None` where one child is for all.
    pub own: Option<Arc<Live>>,
    /// What it hears beside its calls.
    pub standing: Arc<Outbox>,
    /// Ends with the session.
    pub ended: CancellationToken,
    budget: Arc<Budget>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    used: Instant,
    /// What its caller showed last.
    pass: Pass,
    /// Streams that are read.
    readers: usize,
    last_stream: u64,
    open: HashMap<Id, Arc<Open>>,
    kept: VecDeque<Arc<Open>>,
    subscribed: Subscribed,
    said: ClientSaid,
    /// What the gate asks the client for the server.
    questions: HashMap<Id, oneshot::Sender<Message>>,
    last_question: u64,
}

impl Session {
    /// A new one, with an id that nobody can guess.
    #[must_use]
    pub fn new(
        guest: Guest,
        version: Version,
        own: Option<Arc<Live>>,
        said: ClientSaid,
        budget: Arc<Budget>,
    ) -> Self {
        Self {
            id: secret(),
            owner: guest.identity,
            version,
            own,
            standing: Arc::new(Outbox::standing(STANDING, &budget)),
            ended: CancellationToken::new(),
            budget,
            state: Mutex::new(State {
                used: Instant::now(),
                pass: guest.pass,
                readers: 0,
                last_stream: STANDING_STREAM,
                open: HashMap::new(),
                kept: VecDeque::new(),
                subscribed: Subscribed::default(),
                said,
                questions: HashMap::new(),
                last_question: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its caller was here, and has shown this.
    pub fn used(&self, pass: &Pass) {
        let mut state = self.state();
        state.used = Instant::now();
        if state.pass != *pass {
            state.pass = pass.clone();
        }
    }

    /// As if nobody had used it for so long.
    #[cfg(test)]
    pub(super) fn unused_for(&self, long: Duration) {
        self.state().used -= long;
    }

    /// What its caller showed last.
    #[must_use]
    pub fn pass(&self) -> Pass {
        self.state().pass.clone()
    }

    /// How long nothing of it was under way.
    #[must_use]
    pub fn idle(&self) -> Duration {
        let state = self.state();
        if state.readers > 0 || !state.open.is_empty() {
            return Duration::ZERO;
        }
        state.used.elapsed()
    }

    /// The stream of that number is read until the guard goes.
    #[must_use]
    pub fn reads(self: &Arc<Self>, stream: u64) -> Reading {
        let mut state = self.state();
        state.readers += 1;
        let open = state.open.values().find(|open| open.stream == stream);
        let open = open.map(Arc::clone);
        drop(state);
        if let Some(open) = &open {
            open.begins();
        }
        let session = Arc::clone(self);
        Reading { session, open }
    }

    /// Gives up the calls whose streams nobody has read for this long. Whoever comes back all the same reads an error.
    pub fn give_up_unread(&self, grace: Duration) {
        let state = self.state();
        let unread = (state.open.iter()).filter(|(_, open)| open.is_unread(grace));
        unread.for_each(|(id, open)| open.give_up_unread(id));
    }

    /// Begins a call.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, id: &Id) -> Result<Arc<Open>, NotOpened> {
        let mut state = self.state();
        if state.open.contains_key(id) {
            return Err(NotOpened::SameId);
        }
        if state.open.len() >= MAX_CALLS {
            return Err(NotOpened::TooMany);
        }
        state.last_stream += 1;
        let open = Arc::new(Open::new(state.last_stream, self.ended.child_token()));
        state.open.insert(id.clone(), Arc::clone(&open));
        Ok(open)
    }

    /// A call is over; its stream stays for a while for whoever takes it up again.
    pub fn over(&self, id: &Id) {
        let mut state = self.state();
        state.used = Instant::now();
        let over = state.open.remove(id);
        if let Some(open) = over.filter(|open| !open.outbox.is_read()) {
            self.budget.keeps(&open.outbox);
            state.kept.push_back(open);
            if state.kept.len() > MAX_KEPT {
                state.kept.pop_front();
            }
        }
    }

    /// The client has read all of a stream.
    pub fn read(&self, stream: u64) {
        self.state().kept.retain(|open| open.stream != stream);
    }

    /// A call that is under way.
    #[must_use]
    pub fn under_way(&self, id: &Id) -> Option<Arc<Open>> {
        self.state().open.get(id).map(Arc::clone)
    }

    /// A stream by its number.
    #[must_use]
    pub fn stream(&self, number: u64) -> Option<Arc<Outbox>> {
        if number == STANDING_STREAM {
            return Some(Arc::clone(&self.standing));
        }
        let state = self.state();
        let mut all = state.open.values().chain(&state.kept);
        let found = all.find(|open| open.stream == number)?;
        Some(Arc::clone(&found.outbox))
    }

    /// Where what the session's own child says beside answers goes: to the stream of the newest call, which it most
    /// likely is about, or to the standing one.
    #[must_use]
    pub fn beside(&self) -> Arc<Outbox> {
        let newest = {
            let state = self.state();
            let newest = state.open.values().max_by_key(|open| open.stream);
            newest.map(|open| Arc::clone(&open.outbox))
        };
        newest.unwrap_or_else(|| Arc::clone(&self.standing))
    }

    /// A request's parameters as a server of the stateless era needs them.
    #[must_use]
    pub fn to_modern(&self, params: Object) -> Object {
        let said = self.state().said.clone();
        said.to_modern(params)
    }

    /// From which level on it wants to hear the log.
    pub fn wants_log(&self, level: Option<Box<RawValue>>) {
        self.state().said.level = level;
    }

    /// The id of a question of the gate's own, and where its answer will be.
    #[must_use]
    pub fn asks(&self) -> (Id, oneshot::Receiver<Message>) {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        state.questions.retain(|_, answer| !answer.is_closed());
        state.last_question += 1;
        let id = Id::text(&format!("sealroom-{}", state.last_question));
        state.questions.insert(id.clone(), answer);
        (id, answered)
    }

    /// Takes the answer to such a question; gives back what is none.
    ///
    /// # Errors
    /// The message, where it answers none.
    pub fn answers(&self, id: &Id, message: Message) -> Result<(), Message> {
        let Some(answer) = self.state().questions.remove(id) else {
            return Err(message);
        };
        answer.send(message)
    }

    /// It wants to hear about a resource, until what this gives; `None` where it does already.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn subscribe(&self, uri: String) -> Result<Option<CancellationToken>, TooMany> {
        let until = self.ended.child_token();
        self.state().subscribed.add(uri, until)
    }

    /// It no longer does.
    pub fn unsubscribe(&self, uri: &str) {
        self.state().subscribed.remove(uri);
    }

    /// It hears no more of it, though it wanted to until then: it may ask again, unless it has done so already.
    pub fn hushed(&self, uri: &str, until: &CancellationToken) {
        if !until.is_cancelled() {
            self.unsubscribe(uri);
        }
    }

    /// Whether it does.
    #[must_use]
    pub fn is_subscribed(&self, uri: &str) -> bool {
        self.state().subscribed.has(uri)
    }

    /// Ends it, with all that is under way.
    pub fn end(&self) {
        self.ended.cancel();
        self.standing.close();
        for open in self.state().open.values() {
            open.outbox.close();
        }
    }
}

/// A stream that is read.
#[derive(Debug)]
pub struct Reading {
    session: Arc<Session>,
    /// The call whose stream it is, if that was under way.
    open: Option<Arc<Open>>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.ends();
        }
        let mut state = self.session.state();
        state.readers = state.readers.saturating_sub(1);
        state.used = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let said = ClientSaid::default();
        let budget = Arc::new(Budget::new(1024));
        let guest = Guest {
            identity: "anyone".to_owned(),
            pass: Pass::Anyone,
        };
        Session::new(guest, Version::latest_legacy(), None, said, budget)
    }

    #[test]
    fn an_id_is_used_once_at_a_time() {
        let session = session();
        let (one, two) = (Id::number(1), Id::number(2));
        session.open(&one).unwrap();
        assert_eq!(session.open(&one).unwrap_err(), NotOpened::SameId);
        session.open(&two).unwrap();
        session.over(&one);
        assert_eq!(session.open(&one).unwrap().stream, 3);
    }

    #[test]
    fn what_is_over_can_be_taken_up_until_it_was_read() {
        let session = session();
        for number in 0..20 {
            session.open(&Id::number(number)).unwrap();
            session.over(&Id::number(number));
        }
        let there: Vec<u64> = (1..=20).filter(|n| session.stream(*n).is_some()).collect();
        assert_eq!(there, (5..=20).collect::<Vec<_>>());
        session.read(7);
        assert!(session.stream(7).is_none());
    }

    #[tokio::test]
    async fn a_call_that_nobody_reads_is_given_up_after_a_while() {
        let session = Arc::new(session());
        let (left, read) = (Id::number(1), Id::number(2));
        let opens = [&left, &read].map(|id| session.open(id).unwrap());
        let readings = [1, 2].map(|stream| session.reads(stream));
        session.give_up_unread(Duration::ZERO);
        assert!(opens.iter().all(|open| !open.cancel.is_cancelled()));
        let [gone, there] = readings;
        drop(gone);
        session.give_up_unread(Duration::from_secs(60));
        assert!(!opens[0].cancel.is_cancelled(), "it may come back");
        let back = session.reads(1);
        session.give_up_unread(Duration::ZERO);
        assert!(!opens[0].cancel.is_cancelled(), "it is back");
        drop(back);
        session.give_up_unread(Duration::ZERO);
        let given_up = opens.each_ref().map(|open| open.cancel.is_cancelled());
        assert_eq!(given_up, [true, false]);
        session.over(&left);
        let said = session.stream(1).unwrap().after(0).await.unwrap();
        assert!(said.last, "whoever comes back is told");
        drop(there);
    }

    #[test]
    fn an_end_ends_everything() {
        let session = session();
        let open = session.open(&Id::number(1)).unwrap();
        session.end();
        assert!(open.cancel.is_cancelled());
    }
}
