//! The body of a request on its way in.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A request's body, of which its connection knows whether it was read to its end.
#[derive(Debug)]
pub struct Arriving {
    body: Incoming,
    rest: Rest,
}

/// What the connection knows of it.
#[derive(Clone, Debug)]
pub struct Rest(Arc<AtomicBool>);

impl Rest {
    /// Whether nothing of the body is left to read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Arriving {
    /// Of a body that nobody has read yet.
    #[must_use]
    pub fn new(body: Incoming) -> Self {
        let rest = Rest(Arc::new(AtomicBool::new(body.is_end_stream())));
        Self { body, rest }
    }

    /// For the connection.
    #[must_use]
    pub fn rest(&self) -> Rest {
        self.rest.clone()
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.rest.0.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
