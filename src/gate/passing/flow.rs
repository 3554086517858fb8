//! What an answer holds on its way, and what passes of it.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Entered, next_by};
use crate::gate::asked::Asked;
use crate::gate::core::Core;
use crate::gate::counts::Counts;
use crate::gate::events::{Events, Heard};
use crate::gate::reply::Source;
use crate::gate::usage::{Ends, Unasked, Usage};

/// What an answer of the engine holds while it flows.
pub struct Flow {
    core: Arc<Core>,
    pub(super) idle: Pin<Box<Sleep>>,
    pub(super) end: Instant,
    pub(super) ends: Ends,
    /// What it tells of other callers is taken out.
    counts: Counts,
    /// Of a stream, in which the engine may tell of a fault of its own.
    events: Option<Events>,
    /// What has passed is followed by such a fault.
    pub(super) faulty: bool,
    /// Of a stream, what the gate asked for and the client did not.
    unasked: Option<Unasked>,
    /// What becomes of it tells something of the engine.
    pub(super) asked: Asked,
    /// Dropped with the answer: the engine sees its client go, and the request no longer counts.
    source: Source,
    _entered: Entered,
}

impl Flow {
    /// Of what was `asked`, until `end` at the latest. Tokens of a stream that are `unasked` do not pass.
    #[must_use]
    pub fn new(
        core: Arc<Core>,
        source: Source,
        asked: Asked,
        entered: Entered,
        end: Instant,
        unasked: bool,
    ) -> Self {
        let idle = Box::pin(sleep_until(next_by(end)));
        Self {
            core,
            idle,
            end,
            ends: Ends::default(),
            counts: Counts::default(),
            events: source.streams.then(Events::default),
            faulty: false,
            unasked: (unasked && source.streams).then(Unasked::default),
            asked,
            source,
            _entered: entered,
        }
    }

    /// Whether it is a stream of events.
    pub(super) fn streams(&self) -> bool {
        self.source.streams
    }

    /// More has come: what passes of it, and how many events of a stream have ended with that.
    pub(super) fn hear(&mut self, data: Bytes) -> (Bytes, u64) {
        self.idle.as_mut().reset(next_by(self.end));
        self.core.sign_of_life();
        self.asked.heard();
        let Heard { passes, error } = match &mut self.events {
            Some(events) => events.hear(data),
            None => Heard {
                passes: data,
                error: false,
            },
        };
        self.faulty = error;
        let passes = match &mut self.unasked {
            Some(unasked) => unasked.pass(&passes),
            None => passes,
        };
        // Read before what tells of other callers is taken out of it.
        let events = self.ends.push(&passes);
        let passes = self.counts.blank(passes);
        match self.source.share.take() {
            Some(share) => (share.of(passes), events),
            None => (passes, events),
        }
    }

    /// Whether the stream has more to say than what has passed: a fault, or an event that has only begun.
    pub(super) fn withholds(&self) -> bool {
        self.faulty
            || self.events.as_ref().is_some_and(Events::is_open)
            || self.unasked.as_ref().is_some_and(Unasked::is_open)
    }

    /// Whether all that comes passes, so that a length that the engine declares is that of what passes.
    pub(super) fn passes_all(&self) -> bool {
        self.unasked.is_none()
    }

    /// What the engine has said that the answer took, where only the gate asked.
    pub(super) fn unasked(&self) -> Option<Usage> {
        self.unasked.as_ref().and_then(Unasked::usage)
    }

    /// What the engine says that the answer took.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.unasked().or_else(|| self.ends.usage())
    }
}
