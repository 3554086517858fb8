//! A call to a server that speaks HTTP has so long: what its client and the server hear when that is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::{Instant, sleep_until};

use super::answers::failed;
use super::events::Event;
use super::head::SESSION;
use super::http::{FAREWELL, Http};
use crate::gate::answer::{Body, BodyError};
use crate::gate::audit::Outcome;
use crate::mcp::{CANCELLED, Id, Message, Object};

/// Such a call.
pub struct Due {
    /// The client's id.
    pub id: Id,
    /// When its time is over.
    pub end: Instant,
    /// The fields by which it is of a session, if it is.
    pub fields: HeaderMap,
    /// The server.
    pub http: Arc<Http>,
    /// Its answer was seen in a stream, which may go on.
    pub answered: Arc<AtomicBool>,
}

impl Due {
    /// Its time is over: the answer. In a session the server is told that nobody waits any more, since there the end of a
    /// connection gives nothing up (2025-11-25, Streamable HTTP). In the stateless era it does, and without a session
    /// nobody could tell whose call of this id it is.
    #[must_use]
    pub fn over(&self) -> Message {
        if self.fields.contains_key(SESSION) {
            let params = Object::default()
                .with("requestId", &self.id)
                .with("reason", "it took too long");
            let cancelled = Message::notification(CANCELLED, &params);
            let (http, fields) = (Arc::clone(&self.http), self.fields.clone());
            tokio::spawn(async move { http.ask(&cancelled, fields, FAREWELL).await });
        }
        failed(&self.id, Outcome::Timeout)
    }
}

/// Ends the stream of a call in time, with an answer where it had none.
pub fn until(
    frames: impl stream::Stream<Item = Result<Frame<Bytes>, BodyError>> + Send + 'static,
    call: Option<Due>,
) -> Body {
    let Some(due) = call else {
        return BodyExt::boxed_unsync(StreamBody::new(frames));
    };
    let end = due.end;
    let late = stream::once(async move {
        let late = Instant::now() >= end && !due.answered.load(Ordering::Relaxed);
        late.then(|| {
            // What came last may be half an event.
            let event = [b"\n\n".as_slice(), &Event::of(&due.over())].concat();
            Ok::<_, BodyError>(Frame::data(event.into()))
        })
    });
    let frames = frames.take_until(sleep_until(end));
    BodyExt::boxed_unsync(StreamBody::new(
        frames.chain(late.filter_map(std::future::ready)),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Uri;

    use super::*;

    #[rstest::rstest]
    #[case::in_time(true)]
    #[case::not_yet(false)]
    #[tokio::test]
    async fn a_stream_that_goes_on_for_too_long_has_one_answer(#[case] answered: bool) {
        let uri = Uri::from_static("/mcp");
        let due = Due {
            id: Id::number(7),
            end: Instant::now(),
            fields: HeaderMap::new(),
            http: Arc::new(Http::new(1, uri, 1024, Duration::ZERO)),
            answered: Arc::new(answered.into()),
        };
        let body = until(stream::pending(), Some(due));
        let text = body.collect().await.unwrap().to_bytes();
        assert_eq!(text.is_empty(), answered, "{text:?}");
    }
}
