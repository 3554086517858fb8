//! A session of a client of the legacy era: whose it is, and what it is asked and told. Its calls and their streams are in
//! [`super::reading`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::guests::Guest;
use super::live::Live;
use super::open::Open;
use super::outbox::{Outbox, STANDING};
use super::secret::secret;
use super::subscribed::{Subscribed, TooMany, Wanted};
use crate::gate::callers::Pass;
use crate::mcp::translate::ClientSaid;
use crate::mcp::{Id, Message, Object, Version};

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
    pub(super) budget: Arc<Budget>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) used: Instant,
    /// What its caller showed last.
    pass: Pass,
    /// Streams that are read.
    pub(super) readers: usize,
    pub(super) last_stream: u64,
    pub(super) open: HashMap<Id, Arc<Open>>,
    pub(super) kept: VecDeque<Arc<Open>>,
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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

    /// It wants to hear about a resource, until what this gives, and whether it does only now.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn subscribe(&self, uri: String) -> Result<(Wanted, bool), TooMany> {
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

#[cfg(test)]
mod tests {
    use super::*;

    impl Session {
        /// Of anyone, without a child of its own.
        pub(crate) fn sample() -> Self {
            let said = ClientSaid::default();
            let budget = Arc::new(Budget::new(4 * 1024));
            let guest = Guest {
                identity: "anyone".to_owned(),
                pass: Pass::Anyone,
            };
            Self::new(guest, Version::latest_legacy(), None, said, budget)
        }
    }

    #[test]
    fn an_end_ends_everything() {
        let session = Session::sample();
        let open = session.open(&Id::number(1)).unwrap();
        session.end();
        assert!(open.cancel.is_cancelled());
    }
}
