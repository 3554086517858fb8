//! What comes of a request, on its way to its client and into the audit.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::time::timeout;

use super::answers::{Denied, events, json};
use super::head::Accepts;
use super::outbox::Event;
use super::stream::{self, Reader};
use crate::gate::answer::Body;
use crate::gate::audit::{Record, Told};
use crate::gate::passing::Passing;
use crate::mcp::error::INTERNAL;
use crate::mcp::{Id, Message, RpcError};

/// An answer that is there by then is sent whole; a later one as a stream, with what comes before it.
const SOON: Duration = Duration::from_secs(1);

/// What comes of a request that is not denied.
pub enum Reply {
    /// A whole answer, and the code of the error in it.
    Whole(Response<Body>, Option<i64>),
    /// One that passes as it comes, and the code of an error that may be in it.
    Passing(Response<Body>, Told),
    /// A stream.
    Stream(Reader),
}

impl Reply {
    /// The gate's own answer.
    #[must_use]
    pub fn result(id: &Id, result: &impl Serialize) -> Self {
        let answer = Message::result(id, result).to_line();
        Self::Whole(json(StatusCode::OK, answer.into()), None)
    }

    /// The answer whole, if it comes soon and alone, or else the stream in which it will come.
    pub async fn soon(
        mut reader: Reader,
        id: &Id,
        accepts: Accepts,
        status: impl Fn(Option<i64>) -> StatusCode,
    ) -> Self {
        let outbox = Arc::clone(&reader.outbox);
        if !accepts.json {
            return Self::Stream(reader);
        }
        let answer = if accepts.events {
            // What comes before the answer is not read here: a question that goes before its stream has sent it would pass
            // for one that its client has.
            let soon = timeout(SOON, outbox.is_answer_next(reader.after)).await;
            if soon != Ok(true) {
                return Self::Stream(reader);
            }
            let answer = outbox.after(reader.after).await;
            // It may have given way meanwhile.
            if answer.is_none() {
                return Self::Stream(reader);
            }
            answer
        } else {
            outbox.answer().await
        };
        if let Some(guard) = reader.unread.take() {
            guard.disarm();
        }
        // It goes without a number, so nobody can come back for it, whether its call is over yet or not.
        outbox.forget();
        if let Some((session, stream, _)) = &reader.session {
            session.forget(*stream);
        }
        let (text, error) = match answer {
            Some(Event { text, .. }) => (text, outbox.error()),
            None => (no_answer(id).to_line().into(), Some(INTERNAL)),
        };
        Self::Whole(json(status(error), text), error)
    }
}

/// To who reads nothing but an answer, where none comes.
fn no_answer(id: &Id) -> Message {
    let text = "no answer comes: the call was given up, or its session has ended";
    RpcError::new(INTERNAL, text).message(id)
}

/// The response; the audit's line is written when it has left.
#[must_use]
pub fn response(served: Result<Reply, Denied>, mut record: Record) -> Response<Body> {
    match served {
        Ok(Reply::Whole(response, error)) => {
            record.answered(response.status());
            record.rpc_error(error);
            response.map(|body| Passing::new(body, record, None).boxed_unsync())
        }
        Ok(Reply::Passing(response, told)) => {
            record.answered(response.status());
            record.rpc_error_in(told);
            response.map(|body| Passing::new(body, record, None).boxed_unsync())
        }
        Ok(Reply::Stream(reader)) => {
            record.answered(StatusCode::OK);
            events(stream::body(reader, record))
        }
        Err(denied) => {
            record.answered(denied.status());
            record.rpc_error(Some(denied.code()));
            record.settle(denied.outcome());
            denied.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::gate::callers::{Callers, Pass};
    use crate::gate::mcp::guests::Guests;
    use crate::gate::mcp::house::House;
    use crate::gate::mcp::outbox::{CALL, Outbox};
    use crate::gate::mcp::unheard::Unheard;
    use crate::mcp::{Kind, Object};

    fn reader() -> (Reader, Arc<Outbox>) {
        let dir = tempfile::tempdir().unwrap();
        let (house, _bridge) = House::sample(dir.path(), 1, SOON);
        let guests = Guests::new(Arc::new(Callers::new(None, None)));
        let outbox = Arc::new(Outbox::new(CALL));
        let reader = Reader {
            outbox: Arc::clone(&outbox),
            after: 0,
            session: None,
            primes: false,
            taken_over: outbox.take_over(),
            stands: false,
            unread: None,
            stay: guests.stay(&Pass::Anyone),
            core: Arc::clone(&house.core),
        };
        (reader, outbox)
    }

    #[tokio::test]
    async fn who_reads_no_stream_gets_an_error_where_no_answer_comes() {
        let accepts = Accepts {
            json: true,
            events: false,
        };
        for answers in [true, false] {
            let (reader, outbox) = reader();
            if answers {
                outbox.finish(Message::result(&Id::number(7), &1).into());
            } else {
                outbox.close();
            }
            let reply = Reply::soon(reader, &Id::number(7), accepts, |_| StatusCode::OK).await;
            let Reply::Whole(response, error) = reply else {
                panic!("a stream");
            };
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let answer = Message::parse(&body).unwrap();
            let id = Id::number(7);
            assert_eq!(answer.kind, Kind::Response { id });
            assert_eq!(error, (!answers).then_some(INTERNAL));
            assert_eq!(answer.error_code(), error);
            assert!(!outbox.holds_anything(), "nobody comes back for it");
        }
    }

    #[tokio::test]
    async fn a_question_that_goes_before_its_stream_has_sent_it_is_told_of() {
        let (reader, outbox) = reader();
        let lost = CancellationToken::new();
        let told = lost.clone();
        let question = Message::request(&Id::number(1), "roots/list", Object::default());
        outbox.ask(question.into(), Unheard::new(move || told.cancel()));
        let accepts = Accepts {
            json: true,
            events: true,
        };
        let reply = Reply::soon(reader, &Id::number(7), accepts, |_| StatusCode::OK).await;
        assert!(matches!(reply, Reply::Stream(_)));
        for _ in 0..CALL.events {
            outbox.push(Message::notification("a", &Object::default()).into());
        }
        assert!(lost.is_cancelled(), "its client never had it");
    }
}
