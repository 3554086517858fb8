//! The two ways of a child's connection: what goes to it, and what comes from it.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::budget::{SMALL, Share};
use super::call::Said;
use super::child::{Child, Limits, Line};
use super::lines::{Lines, OWN, Taken};
use super::outbox::STANDING;
use crate::mcp::error::INTERNAL;
use crate::mcp::glance::{Glance, Head};
use crate::mcp::{Id, Kind, LOG, Message, RpcError, TOOLS_CHANGED};

/// Lines that are no messages, before the log says no more about them.
const GARBAGE: u32 = 5;
/// For a child that takes no more to be heard to its end.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Read at once.
const CHUNK: usize = 64 * 1024;
/// Why something was not read.
const NO_MEMORY: &str = "there is no memory for what the server said";
const NO_MESSAGE: &str = "what the server said is no message";

/// Writes lines to a child until it takes none, or nobody owns it any more. Then it is over, but for what it may have
/// said before. What there was no place for among the lines comes after them.
pub async fn write(
    mut lines: mpsc::Receiver<Line>,
    mut late: mpsc::Receiver<Line>,
    mut to: OwnedWriteHalf,
    closing: CancellationToken,
) {
    let written = async {
        while let Some((line, _share)) = tokio::select! {
            biased;
            line = lines.recv() => line,
            line = late.recv() => line,
        } {
            if to.write_all(&line).await.is_err() {
                tokio::time::sleep(LAST_WORDS).await;
                return;
            }
        }
    };
    tokio::select! {
        () = written => closing.cancel(),
        () = closing.cancelled() => {}
    }
}

/// Reads what a child writes.
pub struct Reader {
    child: Weak<Child>,
    limits: Limits,
    loose: mpsc::Sender<Said>,
    garbage: u32,
}

impl Reader {
    /// Of this child; what belongs to no call goes to `loose`.
    #[must_use]
    pub fn new(child: &Arc<Child>, limits: Limits, loose: mpsc::Sender<Said>) -> Self {
        Self {
            child: Arc::downgrade(child),
            limits,
            loose,
            garbage: 0,
        }
    }

    /// To its end.
    ///
    /// # Errors
    /// The connection breaks, or a line is too long.
    pub async fn read(mut self, from: OwnedReadHalf) -> io::Result<()> {
        let from = BufReader::with_capacity(CHUNK, from);
        let mut lines = Lines::new(from, self.limits.line, Arc::clone(&self.limits.budget));
        while let Some(line) = lines.next().await? {
            let went_on = match line {
                Taken::Whole(line, share) => self.take(line, share).await,
                Taken::Skipped(line, bytes) => {
                    tracing::warn!(bytes, "there was no memory for what a child wrote");
                    self.unread(&line, NO_MEMORY)
                }
            };
            if went_on.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// What could not be read: whoever waits for it hears of that, and why. `None` when nobody owns the child any more.
    fn unread(&self, line: &Glance, why: &str) -> Option<()> {
        let child = self.child.upgrade()?;
        match line.head() {
            Some(Head::Answer(id)) => child.answer(&id, no_answer(&id, why)),
            Some(Head::Question(id)) => child.tell(&RpcError::new(INTERNAL, why).message(&id)),
            None => {}
        }
        Some(())
    }

    /// `None` when nobody owns the child any more.
    async fn take(&mut self, line: Vec<u8>, share: Option<Share>) -> Option<()> {
        let bytes = line.len();
        let message = match Message::parse(&line) {
            Ok(message) => message,
            Err(error) => {
                if !line.trim_ascii().is_empty() && self.garbage < GARBAGE {
                    self.garbage += 1;
                    // Its text could be anything, so only its size is said.
                    tracing::warn!(bytes, %error, "a child wrote what is no message");
                }
                return self.unread(&Glance::of(&line), NO_MESSAGE);
            }
        };
        drop(line);
        match message.kind.clone() {
            Kind::Response { id } => {
                let said = self.answered(message, bytes, share).await;
                self.child.upgrade()?.answer(&id, said);
            }
            Kind::Request { id, method } => {
                let child = self.child.upgrade()?;
                let Some(said) = self.now(message, bytes, share) else {
                    child.refuse(&id, &method);
                    return Some(());
                };
                // Here, in the order in which it came: a moment later another call could be the only one.
                if let Err(said) = child.question(said)
                    // Of what nobody hears it is told that nobody does.
                    && self.loose.try_send(said).is_err()
                {
                    child.refuse(&id, &method);
                }
            }
            Kind::Notification { method } => {
                let child = self.child.upgrade()?;
                if method == TOOLS_CHANGED {
                    child.changed().notify_one();
                }
                // Notifications never wait: they would hold up answers.
                if let Some(said) = self.now(message, bytes, share)
                    && let Err(said) = child.note(said)
                    // Here, too: what comes before an answer is to be heard before it.
                    && let Err(said) = if method == LOG { child.log(said) } else { Err(said) }
                    && bytes <= STANDING.bytes
                {
                    // Nobody may read it for long, so it takes nothing from others.
                    let _ = self.loose.try_send(said.message.into());
                }
            }
        }
        Some(())
    }

    /// A message for which there is room now, or where kept answers make some.
    fn now(&self, message: Message, bytes: usize, share: Option<Share>) -> Option<Said> {
        let budget = match share.or_else(|| self.limits.budget.try_take(bytes)) {
            None if bytes > SMALL => Some(self.limits.budget.take_now(bytes)?),
            budget => budget,
        };
        Some(Said { message, budget })
    }

    /// An answer, once there is room for it; a word that there was none, where nobody makes any.
    async fn answered(&self, message: Message, bytes: usize, share: Option<Share>) -> Said {
        if let Kind::Response { id } = &message.kind
            && bytes <= OWN
            && self.child.upgrade().is_some_and(|child| child.lists(id))
        {
            return Said {
                message,
                budget: share,
            };
        }
        let budget = match share.or_else(|| self.limits.budget.try_take(bytes)) {
            None if bytes > SMALL => self.limits.budget.take(bytes).await,
            budget => budget,
        };
        match &message.kind {
            Kind::Response { id } if budget.is_none() && bytes > SMALL => no_answer(id, NO_MEMORY),
            _ => Said { message, budget },
        }
    }
}

/// In the place of an answer that its client does not get.
fn no_answer(id: &Id, why: &str) -> Said {
    let text = format!("{why}; the call was carried out");
    RpcError::new(INTERNAL, text).message(id).into()
}

#[cfg(test)]
#[path = "pipes_tests.rs"]
mod tests;
