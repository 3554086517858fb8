//! One child of the bridge: a connection, and what is known of it. What goes to it is in [`super::sending`], what becomes
//! of what it says in [`super::hearing`], and who waits for which answer in [`super::calls`].

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::budget::{Budget, Share};
use super::call::Said;
use super::calls::Calls;
use super::house::Owner;
use super::interests::Interests;
use super::pipes::{Reader, write};
use crate::mcp::Id;

/// Lines that wait for a child to read them.
const QUEUE: usize = 64;
/// Refusals and the like that wait beside them: a tool may ask for hundreds of things at once before it reads.
const LATE: usize = 512;
/// Messages that belong to no call and wait to be looked at; more are dropped.
const LOOSE: usize = 256;
/// Requests of a child that nobody has answered yet; more are refused.
const MAX_ASKED: usize = 64;

/// What children may hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest line in bytes.
    pub line: usize,
    /// For what is on its way to clients, over all children.
    pub budget: Arc<Budget>,
}

/// The child is not there any more, or does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server has ended or does not read")]
pub struct Gone;

/// A line on its way to a child, with its share of the memory for requests.
pub type Line = (Bytes, Option<Share>);

/// A child. When the last of its owners goes, its connection ends and the bridge ends it.
#[derive(Debug)]
pub struct Child {
    pub(super) owner: Owner,
    /// It said that its tools changed, to whomever.
    changed: Arc<Notify>,
    pub(super) to: mpsc::Sender<Line>,
    /// What nobody waits to send, where there is no place in `to`.
    pub(super) late: mpsc::Sender<Line>,
    calls: Mutex<Calls>,
    /// Requests of the child that wait for an answer.
    asked: Mutex<HashSet<Id>>,
    /// The resources of which it is to tell.
    interests: Mutex<Interests>,
    /// Answers to calls, and what belongs to one.
    pub(super) heard: AtomicU64,
    /// Its questions to clients, and the answers to them.
    talked: AtomicU64,
    /// The last question which tools it has; 0 before there was one.
    pub(super) listing: AtomicU64,
    /// The question whether it lives that has no answer yet; 0 where there is none.
    pub(super) pinged: AtomicU64,
    ended: CancellationToken,
    closing: CancellationToken,
    _ends: DropGuard,
}

impl Child {
    /// A new child; what it says beside answers comes out of the second.
    ///
    /// # Errors
    /// The bridge is not there.
    pub async fn connect(
        socket: &Path,
        limits: Limits,
        owner: Owner,
    ) -> io::Result<(Arc<Self>, mpsc::Receiver<Said>)> {
        let (from, writer) = UnixStream::connect(socket).await?.into_split();
        let (to, lines) = mpsc::channel(QUEUE);
        let (late, later) = mpsc::channel(LATE);
        let (loose_in, loose) = mpsc::channel(LOOSE);
        let (ended, closing) = (CancellationToken::new(), CancellationToken::new());
        let child = Arc::new(Self {
            owner,
            changed: Arc::default(),
            to,
            late,
            calls: Mutex::default(),
            asked: Mutex::default(),
            interests: Mutex::default(),
            heard: AtomicU64::new(0),
            talked: AtomicU64::new(0),
            listing: AtomicU64::new(0),
            pinged: AtomicU64::new(0),
            closing: closing.clone(),
            ended: ended.clone(),
            _ends: closing.clone().drop_guard(),
        });
        tokio::spawn(write(lines, later, writer, closing.clone()));
        let reader = Reader::new(&child, limits, loose_in);
        let weak = Arc::downgrade(&child);
        tokio::spawn(async move {
            let why = tokio::select! {
                why = reader.read(from) => why,
                () = closing.cancelled() => Ok(()),
            };
            if let Err(error) = why {
                tracing::warn!(%error, "a child is given up");
            }
            closing.cancel();
            if let Some(child) = weak.upgrade() {
                child.end();
            }
            ended.cancel();
        });
        Ok((child, loose))
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The resources of which it is to tell.
    pub fn interests(&self) -> MutexGuard<'_, Interests> {
        self.interests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Told when it has said that its tools changed, to whomever.
    #[must_use]
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Cancelled when the child has ended. Whoever waits for that is no owner of it.
    #[must_use]
    pub fn ended(&self) -> CancellationToken {
        self.ended.child_token()
    }

    /// Whether it has.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// How much it has said to its calls: one that answers is not hung. What it says of itself, a part of it may say that
    /// does not hang.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// How often it has asked a client something, or had the answer to that.
    #[must_use]
    pub fn talked(&self) -> u64 {
        self.talked.load(Ordering::Relaxed)
    }

    /// It is over: whoever waits hears of it at once, and nobody can begin to.
    pub fn end(&self) {
        self.calls().end();
    }

    /// Ends it: its connection closes, and the bridge ends what is behind that.
    pub fn give_up(&self) {
        self.end();
        self.closing.cancel();
    }

    /// Calls under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.calls().under_way()
    }

    /// Whether somebody waits for what it says.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.under_way() > 0 || !self.interests().is_empty()
    }

    /// Whether the child waits for somebody to answer what it asked.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.asked().is_empty()
    }

    /// Takes note that the child asks something; false when it asks too much.
    pub fn asks(&self, id: &Id) -> bool {
        let mut asked = self.asked();
        let taken = asked.len() < MAX_ASKED && asked.insert(id.clone());
        self.talked.fetch_add(taken.into(), Ordering::Relaxed);
        taken
    }

    /// Whether the child asked this and has no answer yet; it is answered now.
    pub fn answered(&self, id: &Id) -> bool {
        let answered = self.asked().remove(id);
        self.talked.fetch_add(answered.into(), Ordering::Relaxed);
        answered
    }

    /// Whether the child asked this and waits for the answer.
    #[must_use]
    pub fn waits_for(&self, id: &Id) -> bool {
        self.asked().contains(id)
    }
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
