//! What goes to a child: calls, and what asks for no answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::answers::to_server;
use super::budget::Share;
use super::call::Call;
use super::calls::{Hears, Waiter, numbered};
use super::child::{Child, Gone, Line};
use crate::mcp::{CANCELLED, Id, Kind, Message, Object};

/// Notifications of one call that wait for its client; more are dropped.
const NOTES: usize = 256;
/// For a child to make room for a line.
const PATIENCE: Duration = Duration::from_secs(10);

impl Child {
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
        self.sent(call, &request, share).await
    }

    /// Asks it which tools it has. The gate reads the answer at once, so one that is no longer than what each line may have
    /// takes nothing from what clients share, and none of them can keep the gate from reading it.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn list(self: &Arc<Self>, request: Message) -> Result<Call, Gone> {
        let (call, request) = self.begin(request, Hears::Own)?;
        self.listing.store(call.number(), Ordering::Relaxed);
        self.sent(call, &request, None).await
    }

    /// One that does not go out needs no word that nobody waits for it.
    async fn sent(
        &self,
        call: Call,
        request: &Message,
        share: Option<Share>,
    ) -> Result<Call, Gone> {
        if self.send(request, share).await.is_err() {
            self.calls().answered(call.number());
            return Err(Gone);
        }
        Ok(call)
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

    /// Answers it without waiting. What it asked would never be over for a child that does not hear this, so one that
    /// asks that much and reads nothing is given up.
    pub fn tell(&self, message: &Message) {
        if !self.mention(message) {
            tracing::warn!("a child asks and does not read");
            self.give_up();
        }
    }

    /// Says this without waiting for room; false where too much waits for it already.
    fn mention(&self, message: &Message) -> bool {
        let sent = self.to.try_send(line(message));
        let Err(TrySendError::Full(line)) = sent else {
            return true;
        };
        !matches!(self.late.try_send(line), Err(TrySendError::Full(_)))
    }

    /// Nobody waits for call `number` any more. Where it was still under way, the child is told so.
    pub fn forget(&self, number: u64, reason: &str) {
        if self.calls().forget(number, Instant::now()) {
            let params = Object::default()
                .with("requestId", &number)
                .with("reason", reason);
            // One that reads nothing hears nothing: the other queue is for what it waits for.
            let cancelled = Message::notification(CANCELLED, &params);
            let _ = self.to.try_send(line(&cancelled));
        }
    }

    /// Asks it by this request whether it lives, beside all calls: nobody waits for the answer, which counts as heard. One
    /// that takes nothing any more does not hear it.
    pub fn ping(&self, request: Message) {
        let Some(number) = self.calls().number() else {
            return;
        };
        self.pinged.store(number, Ordering::Relaxed);
        self.mention(&request.with_id(&Id::number(number)));
    }
}

fn line(message: &Message) -> Line {
    let mut line = message.to_line();
    line.push(b'\n');
    (line.into(), None)
}
