//! What a child asks during a call of a stateless client, until that has answered.

use super::budget::Share;
use super::call::Said;
use super::child::Child;
use crate::gate::bodies::kib;
use crate::mcp::asks::{Askable, question};
use crate::mcp::error::INTERNAL;
use crate::mcp::{Id, Kind, Message, Object, RpcError};

/// Most that wait for one client.
const MAX: usize = 16;
/// Most bytes of them: they wait as long as their client lets them.
const MAX_BYTES: usize = 256 * 1024;

/// The questions of one call.
#[derive(Debug)]
pub struct Questions {
    askable: Askable,
    all: Vec<Question>,
    /// So that no key comes twice in a call.
    last: u64,
}

#[derive(Debug)]
struct Question {
    /// What the client calls it.
    key: String,
    /// What the child calls it.
    id: Id,
    /// As the client reads it.
    request: Object,
    /// In bytes.
    size: usize,
    /// Of the memory for messages.
    _share: Option<Share>,
}

impl Questions {
    /// None yet, to a client that can be asked this.
    #[must_use]
    pub fn new(askable: Askable) -> Self {
        Self {
            askable,
            all: Vec::new(),
            last: 0,
        }
    }

    /// One more. What the client cannot be asked, and what is too much, the child is told at once.
    pub fn take(&mut self, child: &Child, said: Said) {
        let Kind::Request { id, method } = said.message.kind.clone() else {
            return;
        };
        let params = said.message.params().unwrap_or_default();
        let allowed = self.askable.allows(&method, &params);
        let request = question(&method, params);
        let size = request.to_line().len();
        let bytes: usize = self.all.iter().map(|question| question.size).sum();
        let fits = self.all.len() < MAX && bytes + size <= MAX_BYTES;
        if !allowed || !fits || !child.asks(&id) {
            return child.refuse(&id, &method);
        }
        self.last += 1;
        self.all.push(Question {
            key: format!("q{}", self.last),
            id,
            request,
            size,
            _share: said.budget,
        });
    }

    /// The client is back, and says anew what it can be asked. What it no longer can is refused.
    pub fn to_client(&mut self, child: &Child, askable: Askable) {
        self.all.retain(|question| {
            let method = question.request.text("method").unwrap_or_default();
            let params = question.request.object("params").unwrap_or_default();
            let allowed = askable.allows(&method, &params);
            if !allowed && child.answered(&question.id) {
                child.refuse(&question.id, &method);
            }
            allowed
        });
        self.askable = askable;
    }

    /// Those that the child still waits for, with their keys.
    pub fn open(&mut self, child: &Child) -> impl Iterator<Item = (&str, &Object)> {
        self.all.retain(|question| child.waits_for(&question.id));
        let all = self.all.iter();
        all.map(|question| (question.key.as_str(), &question.request))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The answers of a client as the child's. What it has not answered stays.
    #[must_use]
    pub fn answered(&mut self, child: &Child, answers: &Object) -> Vec<Message> {
        let mut messages = Vec::new();
        self.all.retain(|question| {
            let Some(answer) = answers.get(&question.key) else {
                return true;
            };
            // It may have lost its patience meanwhile.
            if child.answered(&question.id) {
                messages.push(Message::result(&question.id, &answer));
            }
            false
        });
        messages
    }

    /// Nobody will answer them.
    pub fn give_up(&mut self, child: &Child) {
        for question in self.all.drain(..) {
            if child.answered(&question.id) {
                let error = RpcError::new(INTERNAL, "the client has not answered");
                child.tell(&error.message(&question.id));
            }
        }
    }
}

/// Whether an answer is short enough to be kept for a client that is away.
#[must_use]
pub fn can_be_kept(answer: &Message) -> bool {
    kib(answer.to_line().len()) <= kib(MAX_BYTES)
}
