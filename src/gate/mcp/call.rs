//! A call that is under way in a child.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use super::budget::Share;
use super::calls::Hears;
use super::child::{Child, Gone};
use crate::mcp::Message;

/// What a child said, with the memory that it takes until its client has it.
#[derive(Debug)]
pub struct Said {
    /// It.
    pub message: Message,
    /// Its share of what all answers may take.
    pub budget: Option<Share>,
}

/// What comes of a call.
#[derive(Debug)]
pub enum Heard {
    /// It goes on: a notification, or a question where its client can be asked something.
    Note(Said),
    /// This was all.
    Answer(Said),
}

/// A call under way. Dropped before its answer has come, it tells the child that nobody waits.
#[derive(Debug)]
pub struct Call {
    child: Arc<Child>,
    number: u64,
    notes: mpsc::Receiver<Said>,
    answer: oneshot::Receiver<Said>,
    /// Why it would be given up.
    reason: &'static str,
}

impl Call {
    /// Of that number.
    #[must_use]
    pub fn new(
        child: Arc<Child>,
        number: u64,
        notes: mpsc::Receiver<Said>,
        answer: oneshot::Receiver<Said>,
    ) -> Self {
        let reason = "the client is gone";
        Self {
            child,
            number,
            notes,
            answer,
            reason,
        }
    }

    /// The number that the child knows it by.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its client is back: from now on it knows its progress by this, and hears this.
    pub fn rename(&self, token: Option<Box<RawValue>>, hears: Hears) {
        self.child.rename(self.number, token, hears);
    }

    /// What comes next. After the answer nothing does.
    ///
    /// # Errors
    /// [`Gone`]: the child ended before it answered.
    pub async fn next(&mut self) -> Result<Heard, Gone> {
        tokio::select! {
            biased;
            Some(note) = self.notes.recv() => Ok(Heard::Note(note)),
            answer = &mut self.answer => answer.map(Heard::Answer).map_err(|_| Gone),
        }
    }

    /// The answer, whatever comes before it.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn answer(&mut self) -> Result<Said, Gone> {
        loop {
            if let Heard::Answer(said) = self.next().await? {
                return Ok(said);
            }
        }
    }

    /// It took too long.
    pub fn give_up(mut self, reason: &'static str) {
        self.reason = reason;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.child.forget(self.number, self.reason);
    }
}
