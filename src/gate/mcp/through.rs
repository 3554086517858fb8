//! What clients of a server that speaks HTTP send passes the same front, and what it answers is filtered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode, header, response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::answers::{Denied, failed, json};
use super::budget::{self, Growing, SMALL, Share};
use super::claims;
use super::entrance::Held;
use super::events::{Event, Events};
use super::front::Front;
use super::guests::Guest;
use super::head;
use super::http::{Http, is_stream};
use super::legacy::no_session;
use super::replies::Reply;
use super::shown::Shown;
use crate::gate::answer::{Body, BodyError, Refusal, whole};
use crate::gate::audit::{Outcome, Told};
use crate::mcp::error::INVALID_REQUEST;
use crate::mcp::{Id, Kind, Message, RpcError};

/// For the head of what is no answer to a call.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of a client's header fields these pass beside `Accept`.
const THERE: [&str; 3] = ["mcp-protocol-version", "mcp-session-id", "last-event-id"];
/// These pass with a body, since they repeat what it says; and those that begin with [`PARAM`].
const OF_BODY: [&str; 2] = ["mcp-method", "mcp-name"];
/// What tools may ask to be repeated.
const PARAM: &str = "mcp-param-";
/// Of a server's header fields these pass.
const BACK: [&str; 4] = [
    "content-type",
    "cache-control",
    "mcp-session-id",
    "x-accel-buffering",
];

impl Front {
    /// What a client of such a server sends.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn through(
        &self,
        http: &Http,
        method: Method,
        headers: &HeaderMap,
        message: Option<&Message>,
        guest: &Guest,
        held: Option<Held>,
    ) -> Result<Reply, Denied> {
        self.ready()?;
        let fields = there(headers, message.is_some())?;
        if let Some(message) = message {
            let annotated = |name: &str| self.house.known.annotated(name);
            claims::check_present(&fields, message, annotated)?;
        }
        let owned = || head::session(&fields).is_some_and(|one| http.is_owner(one, guest));
        if fields.contains_key(head::SESSION) && !owned() {
            return Err(no_session());
        }
        let left = (method == Method::DELETE)
            .then(|| head::session(&fields).map(ToOwned::to_owned))
            .flatten();
        let call = message.and_then(|message| match &message.kind {
            Kind::Request { id, .. } => Some(id.clone()),
            Kind::Notification { .. } | Kind::Response { .. } => None,
        });
        let patience = call.as_ref().map_or(PATIENCE, |_| self.answer_limit);
        let end = Instant::now() + patience;
        let body = message
            .map(|message| message.to_line().into())
            .unwrap_or_default();
        let answer = match timeout_at(end, http.send(method, fields, body, patience)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the server");
                return Err(broken(
                    "the server gave no answer; a call may have been carried out",
                ));
            }
            Err(_) => return too_slow(call.as_ref()),
        };
        let (head, body) = answer.response.into_parts();
        if head.status.is_informational() || head.status.is_redirection() {
            return Err(broken("the server leads elsewhere"));
        }
        if let Some(session) = left.filter(|_| head.status.is_success()) {
            http.ended(&session);
        }
        let session = head.headers.get(head::SESSION);
        if let Some(session) = session
            && !session
                .to_str()
                .is_ok_and(|session| http.begins(session, guest, self.guests.are_several()))
        {
            return Err(broken(
                "the server gave a session that cannot be its client's",
            ));
        }
        let shown = self.shown.clone();
        let growing = Growing::new(Arc::clone(&self.house.limits.budget));
        if is_stream(&head.headers) {
            let told = Told::default();
            let passing = Passed::new(http.longest, shown, growing, Arc::clone(&told));
            // A subscription has no end of its own, and would hold a drain up.
            let listens = message.and_then(Message::method) == Some("subscriptions/listen");
            let (held, call) = if listens { (None, None) } else { (held, call) };
            let frames = frames(body, passing, (held, answer.driver));
            // A caller that is let in no longer reads no more.
            let stay = self.guests.stay(&guest.pass);
            let frames = frames.take_until(async move { stay.over().await });
            let body = until(frames, call.map(|id| (id, end)));
            return Ok(Reply::Passing(given(&head, body), told));
        }
        let Ok(read) = timeout_at(end, read(body, http.longest, growing)).await else {
            return too_slow(call.as_ref());
        };
        let (text, share) = read?;
        let mut error = None;
        let body = match Message::parse(&text) {
            Ok(message) => {
                let message = shown.answer(message);
                error = message.error_code();
                whole(budget::held(message.to_line(), share))
            }
            Err(_) if text.is_empty() || !head.status.is_success() => {
                whole(budget::held(text, share))
            }
            Err(_) => return Err(broken("the server's answer is no message")),
        };
        Ok(Reply::Whole(given(&head, body), error))
    }
}

/// A client's header fields, as far as they pass. One that comes twice is refused: the gate and the server could each
/// look at another one.
fn there(headers: &HeaderMap, has_body: bool) -> Result<HeaderMap, Denied> {
    let mut fields = HeaderMap::new();
    for accept in headers.get_all(header::ACCEPT) {
        fields.append(header::ACCEPT, accept.clone());
    }
    for (name, value) in headers {
        let name_of = name.as_str();
        let repeats = OF_BODY.contains(&name_of) || name_of.starts_with(PARAM);
        if !(THERE.contains(&name_of) || repeats && has_body) {
            continue;
        }
        if fields.insert(name.clone(), value.clone()).is_some() {
            let error = RpcError::new(INVALID_REQUEST, "a header field of MCP comes twice");
            return Err(Denied::rpc(StatusCode::BAD_REQUEST, error));
        }
    }
    Ok(fields)
}

/// The whole of an answer, with its share of the memory.
async fn read(
    mut body: Incoming,
    longest: usize,
    mut growing: Growing,
) -> Result<(Vec<u8>, Option<Share>), Denied> {
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| broken("the server's answer broke off"))?;
        let data = frame.into_data().unwrap_or_default();
        if text.len() + data.len() > longest {
            return Err(broken("the server's answer is too long"));
        }
        if !growing.to(text.len() + data.len()) {
            return Err(broken("there is no memory for the server's answer"));
        }
        text.extend_from_slice(&data);
    }
    Ok((text, growing.into_share()))
}

/// The stream of a server's events, as its client may read them, with what it holds.
fn frames<H: Send + 'static>(
    body: Incoming,
    mut passing: Passed,
    held: H,
) -> impl stream::Stream<Item = Result<Frame<Bytes>, BodyError>> + Send {
    body.into_data_stream().map(move |data| {
        let _ = &held;
        Ok::<_, BodyError>(Frame::data(passing.pass(data?)?))
    })
}

/// Ends the stream of a call in time, with an answer.
fn until(
    frames: impl stream::Stream<Item = Result<Frame<Bytes>, BodyError>> + Send + 'static,
    call: Option<(Id, Instant)>,
) -> Body {
    let Some((id, end)) = call else {
        return BodyExt::boxed_unsync(StreamBody::new(frames));
    };
    let late = stream::once(async move {
        // What came last may be half an event.
        let event = [
            b"\n\n".as_slice(),
            &Event::of(&failed(&id, Outcome::Timeout)),
        ]
        .concat();
        (Instant::now() >= end).then(|| Ok::<_, BodyError>(Frame::data(event.into())))
    });
    let frames = frames.take_until(sleep_until(end));
    BodyExt::boxed_unsync(StreamBody::new(
        frames.chain(late.filter_map(std::future::ready)),
    ))
}

/// What of a stream passes: without filter and pin all as it comes, otherwise whole events.
struct Passed {
    events: Events,
    shown: Shown,
    growing: Growing,
    told: Told,
    /// Events are still looked at, where all pass as they come.
    looks: bool,
}

impl Passed {
    fn new(longest: usize, shown: Shown, growing: Growing, told: Told) -> Self {
        // Only an error is looked for then, and errors are short.
        let longest = if shown.is_everything() {
            SMALL
        } else {
            longest
        };
        Self {
            events: Events::new(longest),
            shown,
            growing,
            told,
            looks: true,
        }
    }

    fn pass(&mut self, data: Bytes) -> Result<Bytes, BodyError> {
        if self.shown.is_everything() {
            if self.looks {
                match self.events.push(&data) {
                    Ok(events) => events
                        .iter()
                        .filter_map(Event::message)
                        .for_each(|said| tell(&self.told, &said)),
                    Err(_) => self.looks = false,
                }
            }
            return Ok(data);
        }
        if !self.growing.to(self.events.waiting() + data.len()) {
            return Err("there is no memory for the server's event".into());
        }
        let mut out = Vec::new();
        for event in self.events.push(&data)? {
            let shaped = event.shaped(|message| {
                let message = self.shown.answer(message);
                tell(&self.told, &message);
                message
            });
            out.extend_from_slice(&shaped);
        }
        // A stream may stand for hours: what was needed for an event goes with it.
        let share = self.growing.leave(self.events.waiting());
        Ok(budget::held(out, share))
    }
}

/// Remembers the code of the error that a call was answered with.
fn tell(told: &Told, said: &Message) {
    if let (Kind::Response { .. }, Some(code)) = (&said.kind, said.error_code()) {
        let _ = told.set(code);
    }
}

/// The answer with the header fields that pass.
fn given(head: &response::Parts, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    for name in BACK {
        if let Some(value) = head.headers.get(name) {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn broken(text: &str) -> Denied {
    let refusal = Refusal::new(StatusCode::BAD_GATEWAY, "server_error", text);
    Denied::from(refusal).because(Outcome::UpstreamError)
}

/// The answer to a call that took too long.
fn too_slow(call: Option<&Id>) -> Result<Reply, Denied> {
    let Some(id) = call else {
        return Err(broken("the server gave no answer in time"));
    };
    let message = failed(id, Outcome::Timeout);
    let error = message.error_code();
    Ok(Reply::Whole(
        json(StatusCode::OK, message.to_line().into()),
        error,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_mcp_pass_once() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "application/json"),
            ("accept", "text/event-stream"),
            ("authorization", "Bearer secret"),
            ("cookie", "a=b"),
            ("mcp-session-id", "one"),
            ("mcp-param-region", "eu"),
            ("mcp-name", "a"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let fields = there(&headers, true).unwrap();
        assert_eq!(fields.len(), 5);
        assert_eq!(fields.get_all("accept").iter().count(), 2);
        assert_eq!(fields["mcp-session-id"], "one");
        let bare = there(&headers, false).unwrap();
        assert_eq!(bare.len(), 3, "what repeats a body is nothing without one");
        headers.append("mcp-session-id", "another".parse().unwrap());
        assert_eq!(there(&headers, true).unwrap_err().status(), 400);
    }
}
