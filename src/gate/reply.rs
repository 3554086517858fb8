//! What a client gets of the engine's answer: the answer as it comes, or an error of ours where it is none.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt, TryStreamExt};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::answer::{Body, Refusal, whole};
use super::audit::Outcome;
use super::core::Core;
use super::passing::next_by;
use super::room::{Room, Share};
use super::upstream::{Answer, UpstreamError};
use crate::engine::{Particulars, Unfit};

/// Of an answer in one piece this much is read before the client hears anything, so that a broken one becomes an
/// error. What is longer passes as it comes, and so does what finds no room in the memory of all such answers.
const WHOLE: usize = 256 * 1024;
/// So much of each is not counted: it takes no more than any answer on its way.
const SMALL: usize = 8 * 1024;

/// Of an engine's own words about a fault this much is looked at.
const WORDS: usize = 4 * 1024;
/// For these words.
const WORDS_PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no reply, for the client and for the audit.
pub type NoReply = (Refusal, Outcome);

/// What the rest of an answer comes from.
#[derive(Debug)]
pub struct Source {
    /// Drives the connection.
    pub driver: AbortOnDropHandle<()>,
    /// It is a stream of events.
    pub streams: bool,
    /// What its first frame takes of the memory for answers.
    pub share: Option<Share>,
}

/// The reply to a request, until `end` at the latest. An answer in one piece takes its memory from `room`.
///
/// # Errors
/// 502 where the engine failed, broke off or made no sense, 503 where it is busy, 504 where it fell silent. Its own
/// words are in none of them: they may speak of the machine.
pub async fn reply(
    answer: Answer,
    core: &Core,
    end: Instant,
    engine: &dyn Particulars,
    room: &Room,
) -> Result<(Response<Body>, Source), NoReply> {
    let (head, incoming) = answer.response.into_parts();
    if head.status == StatusCode::INTERNAL_SERVER_ERROR {
        return Err(fault(incoming, engine).await);
    }
    answered(head.status)?;
    let streams = is_event_stream(&head.headers);
    let (body, share) = if streams {
        (incoming.map_err(Into::into).boxed_unsync(), None)
    } else {
        let share = room.share();
        let (body, share) = in_one_piece(head.status, incoming, core, end, share).await?;
        (body, Some(share))
    };
    let source = Source {
        driver: answer.driver,
        streams,
        share,
    };
    Ok((response(&head, body), source))
}

/// The engine gave no answer at all.
pub fn failed(error: &UpstreamError) -> NoReply {
    tracing::warn!(%error, "engine");
    match error {
        UpstreamError::Timeout(_) => too_slow(),
        _ => broken(),
    }
}

/// The engine broke off.
pub fn broken() -> NoReply {
    let message = "the engine gave no answer";
    let refusal = Refusal::new(StatusCode::BAD_GATEWAY, "engine_error", message).retry(2);
    (refusal, Outcome::UpstreamError)
}

/// The engine fell silent, or found no end.
pub fn too_slow() -> NoReply {
    let message = "the engine took too long";
    let refusal = Refusal::new(StatusCode::GATEWAY_TIMEOUT, "engine_timeout", message).close();
    (refusal, Outcome::Timeout)
}

/// What stands behind a 500: mostly the engine's fault, and sometimes the request's, which no retry mends.
async fn fault(incoming: Incoming, engine: &dyn Particulars) -> NoReply {
    let words = timeout(WORDS_PATIENCE, Limited::new(incoming, WORDS).collect()).await;
    let words = words.ok().and_then(Result::ok).map(|read| read.to_bytes());
    let words = words.unwrap_or_default();
    let words = std::str::from_utf8(&words).unwrap_or_default();
    if let Some(unfit) = engine.blames(words) {
        let (code, message) = match unfit {
            Unfit::TooLong => (
                "input_too_long",
                "a text of the request is longer than the model reads at once",
            ),
            Unfit::Image => (
                "no_images",
                "the model reads no images: its object has no projector",
            ),
        };
        let refusal = Refusal::new(StatusCode::BAD_REQUEST, code, message);
        return (refusal, Outcome::Ok);
    }
    tracing::warn!(status = 500, "engine");
    broken()
}

/// Success and the client's own errors pass; an engine leads nowhere else and does not talk about its faults.
fn answered(status: StatusCode) -> Result<(), NoReply> {
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let message = "the engine takes no request at this moment";
        let refusal = Refusal::new(status, "engine_busy", message).retry(2);
        return Err((refusal, Outcome::UpstreamError));
    }
    if status.is_success() || status.is_client_error() {
        return Ok(());
    }
    tracing::warn!(status = status.as_u16(), "engine");
    Err(broken())
}

/// Of the engine's header fields only these pass: the others speak of its connection, or to browsers.
fn response(head: &Parts, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    for name in [header::CONTENT_TYPE, header::CACHE_CONTROL] {
        if let Some(value) = head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Server-sent events (WHATWG HTML, section 9.2).
fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

async fn in_one_piece(
    status: StatusCode,
    mut incoming: Incoming,
    core: &Core,
    end: Instant,
    mut share: Share,
) -> Result<(Body, Share), NoReply> {
    let declared = incoming.size_hint().exact().map(usize::try_from);
    let declared = declared.and_then(Result::ok).unwrap_or_default();
    let mut read = BytesMut::with_capacity(declared.min(WHOLE));
    // Where nothing is declared, the buffer grows, and may take twice what is in it.
    while read.len() <= WHOLE && share.covers(read.capacity().saturating_sub(SMALL)) {
        let Ok(frame) = timeout_at(next_by(end), incoming.frame()).await else {
            return Err(too_slow());
        };
        match frame {
            Some(Ok(frame)) => {
                core.sign_of_life();
                if let Some(data) = frame.data_ref() {
                    read.extend_from_slice(data);
                }
            }
            Some(Err(_)) => return Err(broken()),
            None => return checked(status, &read).map(|()| (whole(read.freeze()), share)),
        }
    }
    Ok((preceded(read.freeze(), incoming), share))
}

/// An answer that says 200 must be an object and no error.
pub(super) fn checked(status: StatusCode, body: &[u8]) -> Result<(), NoReply> {
    #[derive(Deserialize)]
    struct Peek {
        #[serde(default)]
        error: Option<IgnoredAny>,
    }
    let is_object = body.trim_ascii_start().starts_with(b"{");
    match serde_json::from_slice::<Peek>(body) {
        Ok(peek) if is_object && !(status.is_success() && peek.error.is_some()) => Ok(()),
        _ => Err(broken()),
    }
}

fn preceded(read: Bytes, rest: Incoming) -> Body {
    let rest = rest.into_data_stream().map_err(Into::into);
    let read = (!read.is_empty()).then_some(Ok(read));
    let frames = stream::iter(read).chain(rest).map_ok(Frame::data);
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::fine(200, r#"{"choices":[]}"#, true)]
    #[case::null(200, r#"{"choices":[],"error":null}"#, true)]
    #[case::an_error_inside(200, r#"{"error":{"message":"/models/x is gone"}}"#, false)]
    #[case::a_late_error(200, r#"{"choices":[],"error":"x"}"#, false)]
    #[case::truncated(200, r#"{"choices":[{"text":"Par"#, false)]
    #[case::no_object(200, "[]", false)]
    #[case::no_json(200, "<html>", false)]
    #[case::empty(200, "", false)]
    #[case::said_by_the_model(200, r#"{"text":"{\"error\":1}"}"#, true)]
    #[case::the_clients_fault(400, r#"{"error":{"message":"too long"}}"#, true)]
    #[case::in_other_words(400, "too long", false)]
    fn one_piece_is_looked_at(#[case] status: u16, #[case] body: &str, #[case] fine: bool) {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(checked(status, body.as_bytes()).is_ok(), fine);
    }

    #[rstest::rstest]
    #[case(200, None)]
    #[case(404, None)]
    #[case(100, Some(502))]
    #[case(302, Some(502))]
    #[case(500, Some(502))]
    #[case(503, Some(503))]
    fn statuses(#[case] status: u16, #[case] expected: Option<u16>) {
        let status = StatusCode::from_u16(status).unwrap();
        let refused = answered(status)
            .err()
            .map(|(refusal, _)| refusal.status.as_u16());
        assert_eq!(refused, expected);
    }
}
