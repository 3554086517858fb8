//! A server that speaks HTTP on a port of loopback, as the gate asks it. It holds the sessions itself; the gate remembers
//! whose they are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};

use super::events::Events;
use crate::gate::bodies::whole;
use crate::gate::upstream::{Answer, Upstream, UpstreamError};
use crate::mcp::Message;

/// Sessions whose owners are remembered.
const MAX_SESSIONS: usize = 4096;
/// Longest name of one in bytes.
const MAX_NAME: usize = 256;

/// The server.
#[derive(Debug)]
pub struct Http {
    upstream: Upstream,
    path: Uri,
    /// Longest answer in one piece in bytes.
    pub longest: usize,
    owners: Mutex<Owners>,
}

#[derive(Debug, Default)]
struct Owners {
    by_session: HashMap<String, Owner>,
    /// Counts the uses.
    uses: u64,
}

#[derive(Debug)]
struct Owner {
    caller: String,
    /// Which use of all was its last.
    used: u64,
}

impl Owners {
    /// Whether it is the caller's, who uses it now; `None` where nobody knows it.
    fn uses(&mut self, session: &str, caller: &str) -> Option<bool> {
        self.uses += 1;
        let owner = self.by_session.get_mut(session)?;
        let own = owner.caller == caller;
        if own {
            owner.used = self.uses;
        }
        Some(own)
    }
}

impl Http {
    /// On that port, at that path; answers in one piece have at most `longest` bytes.
    #[must_use]
    pub fn new(port: u16, path: Uri, longest: usize) -> Self {
        Self {
            upstream: Upstream::Tcp(port),
            path,
            longest,
            owners: Mutex::default(),
        }
    }

    fn owners(&self) -> MutexGuard<'_, Owners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that has just begun is this caller's; false where it is somebody else's already.
    #[must_use]
    pub fn begins(&self, session: &str, caller: &str) -> bool {
        let mut owners = self.owners();
        if let Some(own) = owners.uses(session, caller) {
            return own;
        }
        if session.len() > MAX_NAME {
            return false;
        }
        // Sessions that nobody uses are forgotten first.
        if owners.by_session.len() == MAX_SESSIONS {
            let oldest = owners.by_session.iter().min_by_key(|(_, one)| one.used);
            if let Some(oldest) = oldest.map(|(session, _)| session.clone()) {
                owners.by_session.remove(&oldest);
            }
        }
        let owner = Owner {
            caller: caller.to_owned(),
            used: owners.uses,
        };
        owners.by_session.insert(session.to_owned(), owner);
        true
    }

    /// A session whose client left.
    pub fn ended(&self, session: &str) {
        self.owners().by_session.remove(session);
    }

    /// Whether it is this caller's.
    #[must_use]
    pub fn is_owner(&self, session: &str, caller: &str) -> bool {
        self.owners().uses(session, caller) == Some(true)
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
        tokio::time::timeout(patience, asked).await?
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
    use super::*;

    #[test]
    fn a_session_stays_with_whoever_began_it() {
        let http = Http::new(1, Uri::from_static("/mcp"), 1);
        assert!(http.begins("s", "ada") && http.begins("s", "ada"));
        assert!(!http.begins("s", "bob"));
        assert!(http.is_owner("s", "ada") && !http.is_owner("s", "bob"));
        assert!(!http.begins(&"x".repeat(MAX_NAME + 1), "ada"));
        for number in 0..MAX_SESSIONS {
            assert!(http.begins(&number.to_string(), "bob"));
        }
        assert!(!http.is_owner("s", "ada"), "as many as there may be");
    }
}
