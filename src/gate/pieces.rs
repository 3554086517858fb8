//! The body of an answer, given to its stream in pieces.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::answer::{Body, BodyError};
use super::client::Turn;
use super::streams::Waits;

/// Bytes of an answer that wait in a stream, and how much is given to it at once.
pub(super) const PIECE: usize = 4 * 1024;

/// A body in pieces, so that little of it waits in the stream.
pub(super) struct Pieces {
    body: Body,
    rest: Bytes,
    waits: Arc<Waits>,
    turn: Turn,
}

impl Pieces {
    /// Of the answer with which a turn ends.
    pub(super) fn new(body: Body, turn: Turn) -> Self {
        let waits = Waits::of_this_stream();
        waits.set(Some(Instant::now()));
        Self {
            body,
            rest: Bytes::new(),
            waits,
            turn,
        }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.waits.set(None);
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Some(Err(error)) => {
                    this.turn.whole = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.turn.whole = true;
                    return Poll::Ready(None);
                }
            }
        }
        // HTTP/1 has no other stream that waits.
        let most = if this.turn.is_stream {
            PIECE
        } else {
            usize::MAX
        };
        let piece = this.rest.split_to(this.rest.len().min(most));
        this.waits.set(Some(Instant::now()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}
