//! An answer on its way: frame by frame, counted, and given up when the engine falls silent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::answer::{Body, BodyError};
use super::audit::{Outcome, Record};
use super::core::{Core, InFlight};
use super::queue::Slot;
use super::usage::Tail;

/// For the engine's next bytes: reading a long prompt comes before the first.
pub const ENGINE_PATIENCE: Duration = Duration::from_secs(900);

/// Held until the last byte: the request counts, and takes its place among those at once.
pub type Entered = (InFlight, Slot);

/// What an answer of the engine holds while it flows.
pub struct Flow {
    core: Arc<Core>,
    idle: Pin<Box<Sleep>>,
    tail: Tail,
    outcome: Outcome,
    /// Dropped with the answer: the engine sees its client go, and the request no longer counts.
    _held: (AbortOnDropHandle<()>, Entered),
}

impl Flow {
    /// Over the connection that `driver` drives; `outcome` is what its whole end means.
    #[must_use]
    pub fn new(
        core: Arc<Core>,
        driver: AbortOnDropHandle<()>,
        entered: Entered,
        outcome: Outcome,
    ) -> Self {
        let idle = Box::pin(sleep(ENGINE_PATIENCE));
        Self {
            core,
            idle,
            tail: Tail::default(),
            outcome,
            _held: (driver, entered),
        }
    }
}

/// A body that passes frame by frame, counted; its end settles the request's record.
pub struct Passing {
    body: Body,
    record: Record,
    flow: Option<Flow>,
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let (Poll::Pending, Some(flow)) = (&polled, &mut this.flow) {
            ready!(flow.idle.as_mut().poll(cx));
            this.record.settle(Outcome::Timeout);
            return Poll::Ready(Some(Err("failed to hear the engine in time".into())));
        }
        match ready!(polled) {
            // Trailers speak of the engine's connection.
            Some(Ok(frame)) if frame.is_trailers() => {
                this.end();
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                if let Some(flow) = &mut this.flow {
                    flow.idle
                        .as_mut()
                        .reset(tokio::time::Instant::now() + ENGINE_PATIENCE);
                    flow.core.sign_of_life();
                    if let Some(data) = frame.data_ref() {
                        this.record.began();
                        flow.tail.push(data);
                    }
                }
                if let Some(data) = frame.data_ref() {
                    this.record.wrote(data.len());
                }
                if this.body.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                this.record.settle(Outcome::UpstreamError);
                Poll::Ready(Some(Err(error)))
            }
            None => {
                this.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Passing {
    /// Counts `body` in `record`.
    #[must_use]
    pub fn new(body: Body, record: Record, flow: Option<Flow>) -> Self {
        let mut passing = Self { body, record, flow };
        if passing.body.is_end_stream() {
            // Nobody asks an empty body for its end.
            passing.end();
        }
        passing
    }

    fn end(&mut self) {
        if let Some(flow) = &self.flow {
            self.record.used(flow.tail.usage());
        }
        self.record
            .settle(self.flow.as_ref().map_or(Outcome::Ok, |flow| flow.outcome));
    }
}
