//! An answer on its way: frame by frame, counted, and given up when the engine falls silent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;

use super::answer::{Body, BodyError};
use super::audit::{Outcome, Record};
use super::core::InFlight;
use super::queue::Slot;
use super::reply::{self, NoReply};

mod flow;

pub use flow::Flow;

/// For the engine's next bytes: reading a long prompt comes before the first.
pub const ENGINE_PATIENCE: Duration = Duration::from_secs(900);

/// When the engine's next bytes must be there, of an answer that ends at `end`.
pub fn next_by(end: Instant) -> Instant {
    end.min(Instant::now() + ENGINE_PATIENCE)
}

/// Held until the last byte: the request counts, and takes its place among those at once.
pub type Entered = (InFlight, Slot);

/// A body that passes frame by frame, counted; its end settles the request's record.
pub struct Passing {
    body: Body,
    record: Record,
    flow: Option<Flow>,
    broken: Option<Broken>,
}

/// An answer that broke off. Its connection is cut, since only a cut cannot be taken for an end.
enum Broken {
    /// An event tells why; it goes out before the cut.
    Told(BodyError),
    /// Now.
    Cut(BodyError),
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match this.broken.take() {
            Some(Broken::Told(error)) => {
                // The connection writes what it has when nothing more is there at the moment.
                this.broken = Some(Broken::Cut(error));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Broken::Cut(error)) => return Poll::Ready(Some(Err(error))),
            None => {}
        }
        loop {
            let late = (this.flow.as_ref()).is_some_and(|flow| Instant::now() >= flow.end);
            if late {
                let error = "failed to hear the end in time".into();
                return this.break_off(reply::too_slow(), error);
            }
            if this.flow.as_ref().is_some_and(|flow| flow.faulty) {
                tracing::warn!("engine: an error in a stream");
                return this.break_off(reply::broken(), "failed to hear the end".into());
            }
            let polled = Pin::new(&mut this.body).poll_frame(cx);
            if let (Poll::Pending, Some(flow)) = (&polled, &mut this.flow) {
                flow.asked.waits();
                ready!(flow.idle.as_mut().poll(cx));
                let error = "failed to hear the engine in time".into();
                return this.break_off(reply::too_slow(), error);
            }
            match ready!(polled).map(|polled| polled.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    let data = this.pass(data);
                    // Nothing passes of an event that has only begun, nor of one that nobody asked for.
                    if data.is_empty() && !this.is_end_stream() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return this.break_off(reply::broken(), error),
                Some(Ok(Err(_))) | None if this.withholds() => {
                    return this.break_off(reply::broken(), "failed to hear a whole event".into());
                }
                // Trailers speak of the engine's connection.
                Some(Ok(Err(_))) | None => {
                    this.end();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && !self.withholds() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.flow.as_ref().is_none_or(Flow::passes_all) {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

impl Passing {
    /// Counts `body` in `record`.
    #[must_use]
    pub fn new(body: Body, mut record: Record, flow: Option<Flow>) -> Self {
        if flow.as_ref().is_some_and(Flow::streams) {
            record.streams();
        }
        let mut passing = Self {
            body,
            record,
            flow,
            broken: None,
        };
        if passing.body.is_end_stream() {
            // Nobody asks an empty body for its end.
            passing.end();
        }
        passing
    }

    /// Whether it is a stream of events, and none is under way.
    fn is_between_events(&self) -> bool {
        let flow = self.flow.as_ref();
        flow.is_some_and(|flow| flow.streams() && flow.ends.is_between_events())
    }

    /// Whether its source has said more than what has passed.
    fn withholds(&self) -> bool {
        self.flow.as_ref().is_some_and(Flow::withholds)
    }

    /// What passes of these bytes, counted.
    fn pass(&mut self, data: Bytes) -> Bytes {
        let data = match &mut self.flow {
            Some(flow) => {
                let (data, events) = flow.hear(data);
                self.record.began();
                self.record.heard(events);
                let told = flow.unasked();
                if told.is_some() {
                    // The client that has read all else may not wait for the end.
                    self.record.used(told);
                }
                data
            }
            None => data,
        };
        self.record.wrote(data.len());
        if self.body.is_end_stream() && !self.withholds() {
            self.end();
        }
        data
    }

    fn end(&mut self) {
        if let Some(flow) = &mut self.flow {
            self.record.used(flow.usage());
            flow.asked.ended();
        }
        self.record.settle(Outcome::Ok);
    }

    /// Ends with an error: told as an event where the client reads events and has read a whole one last.
    fn break_off(
        &mut self,
        (refusal, outcome): NoReply,
        error: BodyError,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.record.settle(outcome);
        if let Some(flow) = &mut self.flow {
            flow.asked.failed(outcome);
        }
        if !self.is_between_events() {
            return Poll::Ready(Some(Err(error)));
        }
        let event = Bytes::from(format!("data: {}\n\n", refusal.to_json()));
        self.record.wrote(event.len());
        self.broken = Some(Broken::Told(error));
        Poll::Ready(Some(Ok(Frame::data(event))))
    }
}
