//! A server that speaks HTTP on a port of loopback, as the gate asks it. It holds the sessions itself; the gate remembers
//! whose they are.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use tokio::time::{sleep, timeout};

use super::MAX_SESSIONS;
use super::events::Events;
use super::guests::{Guest, Guests};
use super::head::SESSION;
use super::owners::Owners;
use crate::gate::bodies::whole;
use crate::gate::upstream::{Answer, Upstream, UpstreamError};
use crate::mcp::Message;

/// Between two looks for sessions whose callers are let in no longer.
const LOOK: Duration = Duration::from_secs(1);
/// For the server to hear that a session is over, and how many of them it is told at once.
const FAREWELL: Duration = Duration::from_secs(5);
const FAREWELLS: usize = 8;

/// The server.
#[derive(Debug)]
pub struct Http {
    upstream: Upstream,
    path: Uri,
    /// Longest answer in one piece in bytes.
    pub longest: usize,
    owners: Mutex<Owners>,
}

impl Http {
    /// On that port, at that path; answers in one piece have at most `longest` bytes.
    #[must_use]
    pub fn new(port: u16, path: Uri, longest: usize) -> Self {
        Self {
            upstream: Upstream::Tcp(port),
            path,
            longest,
            owners: Mutex::new(Owners::new(MAX_SESSIONS)),
        }
    }

    fn owners(&self) -> MutexGuard<'_, Owners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that has just begun is this caller's; false where it is somebody else's already. Where `has_others`, the
    /// caller leaves half of all to them.
    #[must_use]
    pub fn begins(&self, session: &str, guest: &Guest, has_others: bool) -> bool {
        self.owners().begins(session, guest, has_others)
    }

    /// A session whose client left.
    pub fn ended(&self, session: &str) {
        self.owners().forget(session);
    }

    /// Whether it is this caller's.
    #[must_use]
    pub fn is_owner(&self, session: &str, guest: &Guest) -> bool {
        self.owners().uses(session, guest) == Some(true)
    }

    /// Ends the sessions whose callers are let in no longer, here and at the server, for ever.
    pub async fn keep(&self, guests: &Guests) {
        loop {
            sleep(LOOK).await;
            let over = self.owners().end(|pass| !guests.keeps_session(pass));
            let over = stream::iter(over);
            let told = over.for_each_concurrent(FAREWELLS, |session| self.tell_end(session));
            told.await;
        }
    }

    /// Whether the server hears it or not: for clients the session is over.
    async fn tell_end(&self, session: String) {
        let Ok(value) = HeaderValue::from_str(&session) else {
            return;
        };
        let mut fields = HeaderMap::new();
        fields.insert(SESSION, value);
        let sent = self.send(Method::DELETE, fields, Bytes::new(), FAREWELL);
        let _ = timeout(FAREWELL, sent).await;
    }

    /// Sends what a client sent.
    ///
    /// # Errors
    /// The server cannot be reached or does not answer in time.
    pub async fn send(
        &self,
        method: Method,
        fields: HeaderMap,
        body: Bytes,
        patience: Duration,
    ) -> Result<Answer, UpstreamError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = fields;
        self.upstream.request(request, patience).await
    }

    /// A request of the gate's own, and its answer; the session that the server gave with it.
    ///
    /// # Errors
    /// No answer, or one that is no message.
    pub async fn ask(
        &self,
        message: &Message,
        fields: HeaderMap,
        patience: Duration,
    ) -> Result<(Option<Message>, Option<HeaderValue>), UpstreamError> {
        let mut fields = fields;
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        fields.insert(header::ACCEPT, accept);
        let asked = async {
            let body = message.to_line().into();
            let answer = self.send(Method::POST, fields, body, patience).await?;
            let session = answer.response.headers().get("mcp-session-id").cloned();
            let streams = is_stream(answer.response.headers());
            let body = answer.response.into_body();
            if !streams {
                let text = whole(body, self.longest).await;
                let text = text.map_err(|_| UpstreamError::TooLong)?;
                return Ok((Message::parse(&text).ok(), session));
            }
            let mut body = Limited::new(body, self.longest);
            let mut events = Events::new(self.longest);
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| UpstreamError::TooLong)?;
                let Some(data) = frame.data_ref() else {
                    continue;
                };
                for event in events.push(data).map_err(|_| UpstreamError::TooLong)? {
                    if let Some(message) = event.message().filter(|said| said.method().is_none()) {
                        return Ok((Some(message), session));
                    }
                }
            }
            Ok((None, session))
        };
        timeout(patience, asked).await?
    }
}

/// Whether an answer is a stream of events.
#[must_use]
pub fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}
