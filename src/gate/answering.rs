//! The body of an answer, with which its turn ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;

use super::answer::{Body, BodyError};
use super::client::Turn;
use super::streams::{PIECE, Waits};

/// What a body gives when it is asked for more.
type Next = Option<Result<Frame<Bytes>, BodyError>>;

/// A body that holds its turn until it goes.
pub(super) struct Answering {
    body: Body,
    pieces: Option<Pieces>,
    turn: Turn,
}

impl Answering {
    /// With this body, cut where the turn is a stream of HTTP/2.
    pub(super) fn new(body: Body, turn: Turn) -> Self {
        // HTTP/1 has no stream in which an answer waits.
        let pieces = turn.is_stream.then(Pieces::of_this_stream);
        Self { body, pieces, turn }
    }
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Next> {
        let Self { body, pieces, turn } = self.get_mut();
        let next = ready!(match pieces {
            Some(pieces) => pieces.poll_next(body, cx),
            None => Pin::new(body).poll_frame(cx),
        });
        if !matches!(next, Some(Ok(_))) {
            turn.whole = true;
        }
        Poll::Ready(next)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.pieces {
            Some(pieces) if !pieces.rest.is_empty() => SizeHint::default(),
            _ => self.body.size_hint(),
        }
    }
}

/// Cuts an answer, so that little of it waits in its stream.
struct Pieces {
    rest: Bytes,
    waits: Arc<Waits>,
}

impl Pieces {
    /// For the stream whose task this is.
    fn of_this_stream() -> Self {
        let waits = Waits::of_this_stream();
        waits.set(Some(Instant::now()));
        let rest = Bytes::new();
        Self { rest, waits }
    }

    fn poll_next(&mut self, body: &mut Body, cx: &mut Context<'_>) -> Poll<Next> {
        self.waits.set(None);
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        self.waits.set(Some(Instant::now()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use http::Version;
    use http_body_util::BodyExt;

    use super::*;
    use crate::gate::answer::whole;
    use crate::gate::client::Client;

    #[rstest::rstest]
    #[case::a_stream(Version::HTTP_2, &[4096, 4096, 808])]
    #[case::a_connection(Version::HTTP_11, &[9000])]
    #[tokio::test]
    async fn a_stream_alone_is_given_pieces(#[case] version: Version, #[case] expected: &[usize]) {
        let turn = Arc::new(Client::default()).enter(version);
        let mut body = Answering::new(whole(vec![7; 9000]), turn);
        let mut lengths = Vec::new();
        while let Some(frame) = body.frame().await {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!(lengths, expected);
        assert!(body.turn.whole);
    }
}
