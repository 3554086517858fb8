//! One connection, as its requests have left it, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode, Version, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::answer::Body;
use super::answering::Answering;
use super::doors::Door;

/// How many more streams a client may break off than it hears to their end.
const MAX_BROKEN_OFF: usize = 100;
/// How long a client of HTTP/1 may take to send the next request over a connection that is to end and has not said so.
pub const REST: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Of the last request.
    version: Option<Version>,
    under_way: usize,
    /// When the last answer was over.
    over: Option<Instant>,
    broken_off: usize,
    leave: bool,
    /// Whether the connection is to end with the next pause.
    rests: bool,
}

impl State {
    /// Whether anybody waits for its requests to come and go: nobody of HTTP/1 before a drain, so that a request there
    /// wakes no task but its own.
    fn tells(&self) -> bool {
        self.version == Some(Version::HTTP_2) || self.rests
    }

    /// HTTP/1 keeps the time of its connections itself.
    fn idle(&self) -> bool {
        self.version.is_none() || (self.version == Some(Version::HTTP_2) && self.under_way == 0)
    }
}

/// One connection, as its requests have left it.
#[derive(Debug, Default)]
pub struct Client(watch::Sender<State>);

impl Client {
    /// Takes a request of this version, whose turn ends with what this gives.
    pub fn enter(self: &Arc<Self>, version: Version) -> Turn {
        let mut first = true;
        self.0.send_if_modified(|state| {
            state.under_way += 1;
            first = state.version.replace(version).is_none();
            first || state.tells()
        });
        Turn {
            client: Arc::clone(self),
            is_stream: version == Version::HTTP_2,
            first,
            place: None,
            whole: false,
        }
    }

    /// Whether an answer without a length ends with its connection, as in HTTP/1.0: then only a reset tells one that
    /// broke off from a whole one (RFC 9112, section 8).
    #[must_use]
    pub fn ends_by_closing(&self) -> bool {
        self.0.borrow().version == Some(Version::HTTP_10)
    }

    /// Ends when no request was under way for `time`.
    pub async fn idle_for(&self, time: Duration) {
        let mut state = self.0.subscribe();
        loop {
            let _ = state.wait_for(State::idle).await;
            let busy = timeout(time, state.wait_for(|state| !state.idle())).await;
            if busy.is_err() {
                return;
            }
        }
    }

    /// Ends when the connection is to carry no more requests.
    ///
    /// HTTP/2 can be told, and what crosses that word is still served (RFC 9113, section 6.8). HTTP/1 has that word
    /// in answers only, so that it comes with the next one, and a connection without any ends last, after a [`REST`].
    pub async fn leaves(&self, door: &Door) {
        let spoken = async |told: &CancellationToken, fits: fn(Version) -> bool| {
            told.cancelled().await;
            // Of a connection that has said nothing yet, the first request may be on its way.
            let known = |state: &State| state.version.is_some_and(fits);
            let _ = self.0.subscribe().wait_for(known).await;
        };
        let mut state = self.0.subscribe();
        tokio::select! {
            () = spoken(&door.leave, |version| version == Version::HTTP_2) => {}
            () = async { spoken(&door.close, |_| true).await; self.rests().await } => {}
            _ = state.wait_for(|state| state.leave) => {}
        }
    }

    /// Ends when no request was under way for a [`REST`].
    async fn rests(&self) {
        self.0.send_modify(|state| state.rests = true);
        let mut state = self.0.subscribe();
        loop {
            let over = match state.wait_for(|state| state.under_way == 0).await {
                Ok(state) => state.over,
                Err(_) => return,
            };
            let Some(over) = over else { return };
            let next = state.wait_for(|state| state.under_way > 0);
            if timeout_at(over + REST, next).await.is_err() {
                return;
            }
        }
    }

    /// Ends when the client has broken too many streams off (CVE-2023-44487): each costs us more than it.
    pub async fn abuses(&self) {
        let mut state = self.0.subscribe();
        let _ = state
            .wait_for(|state| state.broken_off > MAX_BROKEN_OFF)
            .await;
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Turn {
    client: Arc<Client>,
    /// Whether it is a stream of HTTP/2.
    pub is_stream: bool,
    /// Whether it is the first one of its connection.
    pub first: bool,
    /// A stream's place among the streams of all connections.
    pub place: Option<OwnedSemaphorePermit>,
    /// Whether its answer has come to its end.
    pub(super) whole: bool,
}

impl Turn {
    /// The answer of this turn, a stream's in pieces. One that is about the pod and ends an HTTP/1 connection makes one
    /// of HTTP/2 leave too; the others are about one stream only.
    #[must_use]
    pub fn answer(self, answer: Response<Body>) -> Response<Body> {
        let (mut head, body) = answer.into_parts();
        if self.is_stream {
            let closes = head.headers.remove(header::CONNECTION).is_some();
            if closes && head.status == StatusCode::SERVICE_UNAVAILABLE {
                self.client.0.send_modify(|state| state.leave = true);
            }
        }
        Response::from_parts(head, Answering::new(body, self).boxed_unsync())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.client.0.send_if_modified(|state| {
            state.under_way = state.under_way.saturating_sub(1);
            state.over = Some(Instant::now());
            state.broken_off = if self.whole || !self.is_stream {
                state.broken_off.saturating_sub(1)
            } else {
                state.broken_off + 1
            };
            state.tells()
        });
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
