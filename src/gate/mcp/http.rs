//! A server that speaks HTTP on a port of loopback, as the gate asks it. It holds the sessions itself; the gate remembers
//! whose they are.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use tokio::time::{sleep, timeout};

use super::events::Events;
use super::guests::{Guest, Guests};
use super::head::SESSION;
use super::owners::{InUse, Owners};
use super::{LOOK, MAX_SESSIONS};
use crate::gate::bodies::whole;
use crate::gate::callers::Pass;
use crate::gate::upstream::{Answer, Upstream, UpstreamError};
use crate::mcp::Message;

/// For the server to hear that a session or a call is over, and of how many sessions it is told at once.
pub const FAREWELL: Duration = Duration::from_secs(5);
const FAREWELLS: usize = 8;
/// For all of them that are found at one look: a server that hears of none keeps the gate from no other for long.
const ALL_FAREWELLS: Duration = Duration::from_secs(30);

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
    /// On that port, at that path; answers in one piece have at most `longest` bytes, and a session is over when it was not
    /// used for `idle`.
    #[must_use]
    pub fn new(port: u16, path: Uri, longest: usize, idle: Duration) -> Self {
        Self {
            upstream: Upstream::Tcp(port),
            path,
            longest,
            owners: Mutex::new(Owners::new(MAX_SESSIONS, idle)),
        }
    }

    fn owners(&self) -> MutexGuard<'_, Owners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that has just begun is this caller's; false where it is somebody else's already. Where `has_others`, the
    /// caller leaves half of all to them.
    #[must_use]
    pub fn begins(&self, session: &str, guest: &Guest, has_others: bool) -> bool {
        let now = Instant::now();
        self.owners().begins(session, guest, has_others, now)
    }

    /// A session whose client left.
    pub fn ended(&self, session: &str) {
        self.owners().forget(session);
    }

    /// This caller uses it, as long as what this gives is held; `None` where it is not the caller's.
    #[must_use]
    pub fn uses(&self, session: &str, guest: &Guest) -> Option<InUse> {
        self.owners().uses(session, guest, Instant::now())
    }

    /// Ends the sessions whose callers are let in no longer, and those that nobody uses, here and at the server, for ever.
    /// What had to give way ends there, too.
    pub async fn keep(&self, guests: &Guests) {
        loop {
            sleep(LOOK).await;
            let withdrawn = |pass: &Pass| !guests.keeps_session(pass);
            let over = self.owners().end(withdrawn, Instant::now());
            self.tell_ends(over, ALL_FAREWELLS).await;
        }
    }

    async fn tell_ends(&self, over: Vec<String>, patience: Duration) {
        let over = over.into_iter();
        let over = stream::iter(over.filter_map(|session| HeaderValue::try_from(session).ok()));
        let told = over.for_each_concurrent(FAREWELLS, |session| self.tell_end(session));
        let _ = timeout(patience, told).await;
    }

    /// Whether the server hears it or not: for clients the session is over.
    pub async fn tell_end(&self, session: HeaderValue) {
        let mut fields = HeaderMap::new();
        fields.insert(SESSION, session);
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::gate::callers::Callers;

    fn http(port: u16, idle: Duration) -> Http {
        Http::new(port, Uri::from_static("/mcp"), 1024, idle)
    }

    #[tokio::test]
    async fn the_server_hears_of_a_session_that_nobody_uses() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = http(server.local_addr().unwrap().port(), Duration::ZERO);
        let guest = Guest {
            identity: "anyone".to_owned(),
            pass: Pass::Anyone,
        };
        assert!(http.begins("left", &guest, false));
        let guests = Guests::new(Arc::new(Callers::new(None, None)));
        let heard = async {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut text = String::new();
            while !text.contains("\r\n\r\n") {
                let byte = stream.read_u8().await.unwrap();
                text.push(byte.into());
            }
            text
        };
        let text = tokio::select! {
            text = timeout(FAREWELL, heard) => text.unwrap(),
            () = http.keep(&guests) => return,
        };
        assert!(text.starts_with("DELETE /mcp "), "{text}");
        assert!(text.contains("mcp-session-id: left\r\n"), "{text}");
        assert!(http.uses("left", &guest).is_none());
    }

    #[tokio::test]
    async fn a_server_that_hears_of_no_end_holds_nobody_up_for_long() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let http = http(port, FAREWELL);
        let over = (0..2 * FAREWELLS).map(|number| number.to_string());
        let begun = Instant::now();
        let patience = Duration::from_millis(200);
        http.tell_ends(over.collect(), patience).await;
        assert!(begun.elapsed() >= patience, "it was told");
        assert!(begun.elapsed() < FAREWELL);
    }
}
