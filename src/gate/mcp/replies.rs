//! What comes of a request, on its way to its client and into the audit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
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
use crate::mcp::{Id, Message};

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
        accepts: Accepts,
        status: impl Fn(Option<i64>) -> StatusCode,
    ) -> Self {
        let outbox = Arc::clone(&reader.outbox);
        if !accepts.json {
            return Self::Stream(reader);
        }
        let answer = if accepts.events {
            match timeout(SOON, outbox.after(reader.after)).await {
                Ok(Some(event)) if event.last => Some(event),
                _ => return Self::Stream(reader),
            }
        } else {
            outbox.answer().await
        };
        if let Some(guard) = reader.unread.take() {
            guard.disarm();
        }
        if let Some((session, stream, _)) = &reader.session {
            session.read(*stream);
        }
        let error = outbox.error();
        let text = answer.map_or_else(Bytes::new, |Event { text, .. }| text);
        Self::Whole(json(status(error), text), error)
    }
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
