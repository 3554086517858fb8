//! A model's answer on its way to the program: as it comes, and given up when the model falls silent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use crate::gate::answer::BodyError;
use crate::gate::passing::ENGINE_PATIENCE;

/// A request under way: counted, and in its place among those at once.
pub struct Place {
    gauge: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Counted in `gauge` until it goes.
    pub fn new(gauge: Gauge, permit: OwnedSemaphorePermit) -> Self {
        gauge.inc();
        Self {
            gauge,
            _permit: permit,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// The body of an answer. When it goes, so does the connection to the model, which sees that nobody listens.
pub struct Carried {
    body: Incoming,
    idle: Pin<Box<Sleep>>,
    _held: (AbortOnDropHandle<()>, Place),
}

impl Carried {
    /// Over the connection that `driver` drives.
    pub fn new(body: Incoming, driver: AbortOnDropHandle<()>, place: Place) -> Self {
        Self {
            body,
            idle: Box::pin(sleep_until(Instant::now() + ENGINE_PATIENCE)),
            _held: (driver, place),
        }
    }
}

impl http_body::Body for Carried {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending() {
            ready!(this.idle.as_mut().poll(cx));
            return Poll::Ready(Some(Err("failed to hear the model in time".into())));
        }
        this.idle.as_mut().reset(Instant::now() + ENGINE_PATIENCE);
        match ready!(polled) {
            // Trailers speak of the model's connection.
            Some(Ok(frame)) if frame.is_trailers() => Poll::Ready(None),
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
