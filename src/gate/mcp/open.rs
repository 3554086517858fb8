//! A call of a session that is under way: where its messages wait, and whether anybody reads them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::outbox::{CALL, Outbox};
use crate::mcp::error::INTERNAL;
use crate::mcp::{Id, RpcError};

/// Calls of one session at once.
pub const MAX_CALLS: usize = 64;

/// A call of a client.
#[derive(Debug)]
pub struct Open {
    /// The number of its stream in the session.
    pub stream: u64,
    /// Where its messages wait.
    pub outbox: Arc<Outbox>,
    /// The client gives it up.
    pub cancel: CancellationToken,
    readers: Mutex<Readers>,
}

/// Those who read its stream.
#[derive(Debug)]
struct Readers {
    now: usize,
    /// When the last one came or went.
    since: Instant,
}

/// Why a call does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// The client uses an id twice.
    #[error("a request with this id is under way in this session")]
    SameId,
    /// Too many.
    #[error("a session may have {MAX_CALLS} requests under way")]
    TooMany,
}

impl Open {
    /// With a stream of that number, until `cancel`.
    #[must_use]
    pub fn new(stream: u64, cancel: CancellationToken) -> Self {
        let readers = Readers {
            now: 0,
            since: Instant::now(),
        };
        Self {
            stream,
            outbox: Arc::new(Outbox::new(CALL)),
            cancel,
            readers: Mutex::new(readers),
        }
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more reads it.
    pub fn begins(&self) {
        let mut readers = self.readers();
        readers.now += 1;
        readers.since = Instant::now();
    }

    /// One does no longer.
    pub fn ends(&self) {
        let mut readers = self.readers();
        readers.now = readers.now.saturating_sub(1);
        readers.since = Instant::now();
    }

    /// Whether nobody has read it for so long.
    #[must_use]
    pub fn is_unread(&self, grace: Duration) -> bool {
        let readers = self.readers();
        readers.now == 0 && readers.since.elapsed() >= grace
    }

    /// Where nobody reads it and it is over, only its answer waits: a question that nobody has read is told of that. Whether
    /// an answer waits so.
    pub fn tidy(&self) -> bool {
        self.is_unread(Duration::ZERO) && self.outbox.keep_answer()
    }

    /// Gives it up, since nobody reads it. Whoever comes back all the same reads why.
    pub fn give_up_unread(&self, id: &Id) {
        let text =
            "nobody read the answer any more: the call was given up, and may have been carried out";
        let error = RpcError::new(INTERNAL, text).message(id);
        self.outbox.finish(error.into());
        self.cancel.cancel();
    }
}
