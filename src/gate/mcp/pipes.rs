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
use super::skipped::Skipped;
use crate::mcp::error::INTERNAL;
use crate::mcp::{Id, Kind, LOG, Message, RpcError, TOOLS_CHANGED};

/// Lines that are no messages, before the log says no more about them.
const GARBAGE: u32 = 5;
/// For a child that takes no more to be heard to its end.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Read at once.
const CHUNK: usize = 64 * 1024;

/// Writes lines to a child until it takes none, or nobody owns it any more. Then it is over, but for what it may have
/// said before.
pub async fn write(
    mut lines: mpsc::Receiver<Line>,
    mut to: OwnedWriteHalf,
    closing: CancellationToken,
) {
    let written = async {
        while let Some((line, _share)) = lines.recv().await {
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
                Taken::Skipped(line) => self.skip(&line),
            };
            if went_on.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The same for what there was no memory for: whoever waits for it hears of that.
    fn skip(&self, line: &Skipped) -> Option<()> {
        tracing::warn!(
            bytes = line.bytes,
            "there was no memory for what a child wrote"
        );
        let child = self.child.upgrade()?;
        if let Some(id) = line.answers() {
            child.answer(&id, no_memory(&id));
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
                return self.child.upgrade().map(drop);
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

    /// A message for which there is room now.
    fn now(&self, message: Message, bytes: usize, share: Option<Share>) -> Option<Said> {
        let budget = share.or_else(|| self.limits.budget.try_take(bytes));
        (budget.is_some() || bytes <= SMALL).then_some(Said { message, budget })
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
            Kind::Response { id } if budget.is_none() && bytes > SMALL => no_memory(id),
            _ => Said { message, budget },
        }
    }
}

fn no_memory(id: &Id) -> Said {
    let text = "there is no memory for the answer; the call was carried out";
    RpcError::new(INTERNAL, text).message(id).into()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixListener;

    use super::*;
    use crate::gate::mcp::budget::Budget;
    use crate::gate::mcp::call::Call;
    use crate::gate::mcp::house::Owner;
    use crate::mcp::Object;
    use crate::mcp::pages::Pages;
    use crate::mcp::pin::NoInventory;

    /// While others leave nothing of the memory.
    #[tokio::test]
    async fn the_gate_reads_a_list_of_tools_for_which_no_client_leaves_memory() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let limits = Limits {
            line: 1024 * 1024,
            budget: Arc::new(Budget::new(0)),
        };
        let connected = Child::connect(&socket, limits, Owner::Gate).await;
        let (child, _loose) = connected.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let asks = || Message::request(&Id::number(0), "tools/list", Object::default());
        let listed = async |mut call: Call, stream: &mut tokio::net::UnixStream, bytes: usize| {
            let long = "x".repeat(bytes);
            let number = call.number();
            let tools = format!(r#"{{"tools":[{{"name":"a","description":"{long}"}}]}}"#);
            let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"result\":{tools}}}\n");
            stream.write_all(line.as_bytes()).await.unwrap();
            let said = call.answer().await.unwrap();
            Pages::default().take(&said.message).unwrap()
        };
        let call = child.list(asks()).await.unwrap();
        let list = listed(call, &mut stream, 2 * SMALL).await;
        assert_eq!(list.unwrap().len(), 1);
        // That of a client, and one that is longer.
        let call = child.call(asks()).await.unwrap();
        let list = listed(call, &mut stream, 2 * SMALL).await;
        assert_eq!(list, Err(NoInventory::Refused));
        let call = child.list(asks()).await.unwrap();
        let list = listed(call, &mut stream, 2 * OWN).await;
        assert_eq!(list, Err(NoInventory::Refused), "nobody has read it");
    }
}
