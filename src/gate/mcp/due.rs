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
use super::passed::Passed;
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
    /// Whether its time is over, and it was not answered.
    fn is_late(&self) -> bool {
        Instant::now() >= self.end && !self.answered.load(Ordering::Relaxed)
    }

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

/// What a client reads of the events that the server sends, with what that holds. The stream of a call ends in time, with an
/// answer where it had none.
pub fn until(
    data: impl stream::Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    mut passed: Passed,
    held: impl Send + 'static,
    call: Option<Due>,
) -> Body {
    let pass = move |data: Result<Bytes, BodyError>| {
        let _ = &held;
        Ok::<_, BodyError>(Frame::data(passed.pass(data?)?))
    };
    let Some(due) = call.map(Arc::new) else {
        return BodyExt::boxed_unsync(StreamBody::new(data.map(pass)));
    };
    let (end, late) = (sleep_until(due.end), Arc::clone(&due));
    // What came last may lack nothing but the line that ends it: with that the client has it, and it may be the answer.
    let line = async move { late.is_late().then(|| Ok(Bytes::from_static(b"\n\n"))) };
    let answer = async move {
        let event = || Ok(Frame::data(Event::of(&due.over())));
        due.is_late().then(event)
    };
    let line = stream::once(line).filter_map(std::future::ready);
    let answer = stream::once(answer).filter_map(std::future::ready);
    let frames = data.take_until(end).chain(line).map(pass);
    BodyExt::boxed_unsync(StreamBody::new(frames.chain(answer)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Uri;

    use super::*;
    use crate::gate::mcp::events::Events;
    use crate::mcp::Policy;
    use crate::mcp::glance::Answer;

    const OTHER: &str = r#"data: {"jsonrpc":"2.0","id":8,"result":{}}"#;
    const OWN: &str = r#"data: {"jsonrpc":"2.0","id":7,"result":{}}"#;
    const HALF: &str = r#"data: {"jsonrpc":"2.0","id":7,"result":{"#;

    /// The server says this of the call, and nothing more: whether the answer that its client reads is the gate's.
    #[rstest::rstest]
    #[case::nothing(String::new(), true)]
    #[case::of_another_call(format!("{OTHER}\n\n"), true)]
    #[case::of_another_call_and_not_ended(format!("{OTHER}\n"), true)]
    #[case::half_of_it(HALF.to_owned(), true)]
    #[case::half_of_it_and_not_ended(format!("{HALF}\n"), true)]
    #[case::in_time(format!("{OWN}\n\n"), false)]
    #[case::without_the_line_that_ends_it(format!("{OWN}\n"), false)]
    #[case::without_the_end_of_its_line(OWN.to_owned(), false)]
    #[case::cut_within_the_end_of_its_line(format!("{OWN}\r"), false)]
    #[tokio::test]
    async fn a_stream_that_goes_on_for_too_long_has_one_answer(
        #[case] said: String,
        #[case] gates: bool,
        #[values(false, true)] filtered: bool,
    ) {
        let policy = if filtered {
            Policy::AllowListed(["echo".to_owned()].into())
        } else {
            Policy::All
        };
        let (passed, answered) = Passed::sample(policy);
        let uri = Uri::from_static("/mcp");
        let due = Due {
            id: Id::number(7),
            end: Instant::now() + Duration::from_millis(100),
            fields: HeaderMap::new(),
            http: Arc::new(Http::new(1, uri, 1024, Duration::ZERO)),
            answered,
        };
        let said = stream::iter([Ok(Bytes::from(said))]).chain(stream::pending());
        let body = until(said, passed, (), Some(due));
        let text = body.collect().await.unwrap().to_bytes();
        let events = Events::new(1024).push(&text).unwrap();
        let messages = events.iter().filter_map(Event::message);
        let answers = messages.filter_map(|message| Answer::of(&message));
        let own: Vec<_> = answers
            .filter(|answer| answer.id == Id::number(7))
            .map(|answer| answer.error.is_some())
            .collect();
        assert_eq!(own, [gates], "{text:?}");
    }
}
