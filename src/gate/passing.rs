//! An answer on its way: frame by frame, counted, and given up when the engine falls silent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer::{Body, BodyError};
use super::asked::Asked;
use super::audit::{Outcome, Record};
use super::core::{Core, InFlight};
use super::queue::Slot;
use super::reply::{self, NoReply, Source};
use super::usage::Ends;

/// For the engine's next bytes: reading a long prompt comes before the first.
pub const ENGINE_PATIENCE: Duration = Duration::from_secs(900);

/// When the engine's next bytes must be there, of an answer that ends at `end`.
pub fn next_by(end: Instant) -> Instant {
    end.min(Instant::now() + ENGINE_PATIENCE)
}

/// Held until the last byte: the request counts, and takes its place among those at once.
pub type Entered = (InFlight, Slot);

/// What an answer of the engine holds while it flows.
pub struct Flow {
    core: Arc<Core>,
    idle: Pin<Box<Sleep>>,
    end: Instant,
    ends: Ends,
    /// What becomes of it tells something of the engine.
    asked: Asked,
    /// Dropped with the answer: the engine sees its client go, and the request no longer counts. The answer may be a
    /// stream of events, in which an error can be told.
    source: Source,
    _entered: Entered,
}

impl Flow {
    /// Of what was `asked`, until `end` at the latest.
    #[must_use]
    pub fn new(
        core: Arc<Core>,
        source: Source,
        asked: Asked,
        entered: Entered,
        end: Instant,
    ) -> Self {
        let idle = Box::pin(sleep_until(next_by(end)));
        Self {
            core,
            idle,
            end,
            ends: Ends::default(),
            asked,
            source,
            _entered: entered,
        }
    }

    fn streams(&self) -> bool {
        self.source.1
    }
}

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
        let late = (this.flow.as_ref()).is_some_and(|flow| Instant::now() >= flow.end);
        if late {
            let error = "failed to hear the end in time".into();
            return this.break_off(reply::too_slow(), error);
        }
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let (Poll::Pending, Some(flow)) = (&polled, &mut this.flow) {
            flow.asked.waits();
            ready!(flow.idle.as_mut().poll(cx));
            let error = "failed to hear the engine in time".into();
            return this.break_off(reply::too_slow(), error);
        }
        match ready!(polled) {
            // Trailers speak of the engine's connection.
            Some(Ok(frame)) if frame.is_trailers() => {
                this.end();
                Poll::Ready(None)
            }
            Some(Ok(frame)) if this.hears_an_error(&frame) => {
                tracing::warn!("engine: an error in a stream");
                this.break_off(reply::broken(), "failed to hear the end".into())
            }
            Some(Ok(frame)) => {
                if let Some(flow) = &mut this.flow {
                    flow.idle.as_mut().reset(next_by(flow.end));
                    flow.core.sign_of_life();
                    flow.asked.heard();
                    if let Some(data) = frame.data_ref() {
                        this.record.began();
                        let events = flow.ends.push(data);
                        this.record.heard(events);
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
            Some(Err(error)) => this.break_off(reply::broken(), error),
            None => {
                this.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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

    /// Whether an event begins here with which the engine tells of a fault of its own, in its own words.
    fn hears_an_error(&self, frame: &Frame<Bytes>) -> bool {
        self.is_between_events() && frame.data_ref().is_some_and(|data| tells_error(data))
    }

    fn end(&mut self) {
        if let Some(flow) = &mut self.flow {
            self.record.used(flow.ends.usage());
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

/// How the engines begin an event that is an error. In no other event is a member called so.
const ERROR: [&[u8]; 4] = [b"data:", b"{", b"\"error\"", b":"];

fn tells_error(event: &[u8]) -> bool {
    let told = ERROR.iter().try_fold(event, |rest, token| {
        rest.trim_ascii_start().strip_prefix(*token)
    });
    told.is_some_and(|told| !told.trim_ascii_start().starts_with(b"null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::of_llama_cpp(r#"data: {"error":{"code":500,"message":"x"}}"#, true)]
    #[case::written_closely(r#"data:{"error":"x"}"#, true)]
    #[case::written_widely("data:  { \"error\" : {} }", true)]
    #[case::none(r#"data: {"error":null,"choices":[]}"#, false)]
    #[case::an_answer(r#"data: {"choices":[{"delta":{}}]}"#, false)]
    #[case::another_member(r#"data: {"errors":[]}"#, false)]
    #[case::said_by_the_model(r#"data: {"text":"{\"error\":1}"}"#, false)]
    #[case::the_end("data: [DONE]", false)]
    #[case::nothing("", false)]
    fn events_that_are_errors(#[case] event: &str, #[case] expected: bool) {
        assert_eq!(tells_error(event.as_bytes()), expected);
    }
}
