//! One child of the bridge: a connection, and what goes over it. Who waits for which answer is in [`super::calls`].

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answers::to_server;
use super::budget::{Budget, Share};
use super::call::{Call, Said};
use super::calls::{Calls, Hears, Waiter, numbered};
use super::house::Owner;
use super::interests::Interests;
use super::pipes::{Reader, write};
use crate::mcp::translate::SUBSCRIPTION;
use crate::mcp::{CANCELLED, Id, Kind, Message, Object};

/// Lines that wait for a child to read them.
const QUEUE: usize = 64;
/// Notifications of one call that wait for its client; more are dropped.
const NOTES: usize = 256;
/// Messages that belong to no call and wait to be looked at; more are dropped.
const LOOSE: usize = 256;
/// For a child to make room for a line.
const PATIENCE: Duration = Duration::from_secs(10);
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
    owner: Owner,
    /// It said that its tools changed, to whomever.
    changed: Arc<Notify>,
    to: mpsc::Sender<Line>,
    calls: Mutex<Calls>,
    /// Requests of the child that wait for an answer.
    asked: Mutex<HashSet<Id>>,
    /// The resources of which it is to tell.
    interests: Mutex<Interests>,
    /// Answers to calls, and what belongs to one.
    heard: AtomicU64,
    /// Its questions to clients, and the answers to them.
    talked: AtomicU64,
    /// The last question which tools it has; 0 before there was one.
    listing: AtomicU64,
    /// The question whether it lives that has no answer yet; 0 where there is none.
    pinged: AtomicU64,
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
        let (loose_in, loose) = mpsc::channel(LOOSE);
        let (ended, closing) = (CancellationToken::new(), CancellationToken::new());
        let child = Arc::new(Self {
            owner,
            changed: Arc::default(),
            to,
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
        tokio::spawn(write(lines, writer, closing.clone()));
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

    fn calls(&self) -> MutexGuard<'_, Calls> {
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

    /// Asks it by this request whether it lives, beside all calls: nobody waits for the answer, which counts as heard. One
    /// that takes nothing any more does not hear it.
    pub fn ping(&self, request: Message) {
        let Some(number) = self.calls().number() else {
            return;
        };
        self.pinged.store(number, Ordering::Relaxed);
        self.tell(&request.with_id(&Id::number(number)));
    }

    /// Whether `number` answers the last such question. Numbers of calls begin with 1.
    fn pongs(&self, number: u64) -> bool {
        let (pinged, relaxed) = (&self.pinged, Ordering::Relaxed);
        number != 0 && (pinged.compare_exchange(number, 0, relaxed, relaxed)).is_ok()
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

    /// Sends a request of the gate's own; its answer will carry the id that it has now.
    ///
    /// # Errors
    /// [`Gone`]; it may have been read all the same.
    pub async fn call(self: &Arc<Self>, request: Message) -> Result<Call, Gone> {
        self.ask(request, None, Hears::Own).await
    }

    /// The same with the request's share of the memory, free again when the child has it. What it hears comes before the
    /// answer.
    ///
    /// # Errors
    /// [`Gone`]; it may have been read all the same.
    pub async fn ask(
        self: &Arc<Self>,
        request: Message,
        share: Option<Share>,
        hears: Hears,
    ) -> Result<Call, Gone> {
        let (call, request) = self.begin(request, hears)?;
        self.send(&request, share).await?;
        Ok(call)
    }

    /// Asks it which tools it has. The gate reads the answer at once, so one that is no longer than what each line may have
    /// takes nothing from what clients share, and none of them can keep the gate from reading it.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn list(self: &Arc<Self>, request: Message) -> Result<Call, Gone> {
        let (call, request) = self.begin(request, Hears::Own)?;
        self.listing.store(call.number(), Ordering::Relaxed);
        self.send(&request, None).await?;
        Ok(call)
    }

    /// Whether an answer with this id says which tools it has.
    #[must_use]
    pub fn lists(&self, id: &Id) -> bool {
        let listing = self.listing.load(Ordering::Relaxed);
        listing != 0 && id.as_number() == Some(listing)
    }

    /// A call, and its request as the child is to see it.
    fn begin(self: &Arc<Self>, request: Message, hears: Hears) -> Result<(Call, Message), Gone> {
        let Kind::Request { id, .. } = request.kind.clone() else {
            return Err(Gone);
        };
        let (notes, heard) = mpsc::channel(NOTES);
        let (answer, answered) = oneshot::channel();
        let (number, request) = {
            let mut calls = self.calls();
            let number = calls.number().ok_or(Gone)?;
            let (request, token) = numbered(request, number);
            let waiter = Waiter {
                id,
                token,
                notes,
                answer,
                hears,
            };
            calls.begin(number, waiter);
            (number, request)
        };
        let call = Call::new(Arc::clone(self), number, heard, answered);
        Ok((call, request))
    }

    /// Sends what waits for no answer.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn say(&self, message: &Message) -> Result<(), Gone> {
        self.send(message, None).await
    }

    /// The same with the message's share of the memory.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send(&self, message: &Message, share: Option<Share>) -> Result<(), Gone> {
        let (line, _) = line(message);
        match timeout(PATIENCE, self.to.send((line, share))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Answers what nobody can be asked.
    pub fn refuse(&self, id: &Id, method: &str) {
        self.tell(&to_server(id, method));
    }

    /// Says this at once. A child that reads nothing hears nothing.
    pub fn tell(&self, message: &Message) {
        let _ = self.to.try_send(line(message));
    }

    /// Nobody waits for call `number` any more. Where it was still under way, the child is told so.
    pub fn forget(&self, number: u64, reason: &str) {
        if self.calls().forget(number, Instant::now()) {
            let params = Object::default()
                .with("requestId", &number)
                .with("reason", reason);
            self.tell(&Message::notification(CANCELLED, &params));
        }
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

    /// Gives a question to the call that it belongs to.
    ///
    /// # Errors
    /// The question, where nobody can tell to which, or it can be asked nothing.
    pub fn question(&self, said: Said) -> Result<(), Said> {
        self.calls().question(said, Instant::now())
    }

    /// The client of call `number` is back: from now on it knows its progress by this, and hears this.
    pub fn rename(&self, number: u64, token: Option<Box<RawValue>>, hears: Hears) {
        self.calls().rename(number, token, hears);
    }

    /// Gives a note to the call that it names.
    ///
    /// # Errors
    /// The note, where it names no call.
    pub fn note(&self, note: Said) -> Result<(), Said> {
        self.calls().note(note)?;
        self.heard.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives what it logs to the only call of a client that is under way, if that wants it. A child that serves several
    /// could say something of another one.
    ///
    /// # Errors
    /// The note, where nobody knows which call it is about, none hears it, or the child is the gate's own.
    pub fn log(&self, note: Said) -> Result<(), Said> {
        match self.owner {
            Owner::Client => self.calls().to_only(note, Instant::now()),
            Owner::Gate => Err(note),
        }
    }

    /// Gives an answer to the call of that number, and to no other.
    pub fn answer(&self, id: &Id, said: Said) {
        let number = id.as_number();
        if number.is_some_and(|number| self.pongs(number)) {
            self.heard.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let waiter = number.and_then(|number| self.calls().answered(number));
        let Some(waiter) = waiter else {
            tracing::debug!("an answer to nobody");
            return;
        };
        self.heard.fetch_add(1, Ordering::Relaxed);
        let mut message = said.message.with_id(&waiter.id);
        if let Some(mut result) = message.body.object("result")
            && let Some(mut meta) = result.object("_meta")
            && meta.has(SUBSCRIPTION)
        {
            meta.put(SUBSCRIPTION, &waiter.id);
            result.put("_meta", &meta);
            message.body.put("result", &result);
        }
        let _ = waiter.answer.send(Said { message, ..said });
    }
}

fn line(message: &Message) -> Line {
    let mut line = message.to_line();
    line.push(b'\n');
    (line.into(), None)
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
