//! The events of one stream that wait, within bounds: pure.

use std::collections::VecDeque;

use bytes::Bytes;

use super::budget::{Budget, Share};
use super::unheard::Unheard;

/// How much waits.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Events.
    pub events: usize,
    /// Bytes.
    pub bytes: usize,
    /// Whether an event may take a share of the memory that all have, and be longer than that.
    pub shares: bool,
}

/// Of a call: what its client has not read yet is counted elsewhere, what it has read waits here for a while.
pub const CALL: Bound = Bound {
    events: 256,
    bytes: 64 * 1024,
    shares: true,
};
/// Of a session, beside its calls. Nobody may read it for long, so it takes nothing from answers.
pub const STANDING: Bound = Bound {
    events: 32,
    bytes: 64 * 1024,
    shares: false,
};
/// Of a subscription of a client without a session: as many resources as it may name can change at once.
pub const LISTEN: Bound = Bound {
    events: 256,
    bytes: 64 * 1024,
    shares: false,
};

/// One message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the stream, from 1 on.
    pub number: u64,
    /// The message. Its share of the memory is free when the last of it is dropped.
    pub text: Bytes,
    /// The answer: nothing comes after it.
    pub last: bool,
}

/// An event, and what is known of it.
#[derive(Debug)]
pub struct Entry {
    /// It.
    pub event: Event,
    /// It is counted elsewhere: it has a share of the memory, and its client has not read it yet.
    pub counted: bool,
    /// It is a question that nobody has read yet.
    pub unheard: Option<Unheard>,
}

/// What waits, the oldest first.
#[derive(Debug, Default)]
pub struct Waiting {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Messages that nobody will read.
    pub dropped: u64,
}

impl Waiting {
    /// One more. Where too much waits, the oldest go.
    pub fn put(&mut self, entry: Entry, bound: Bound) {
        self.bytes += entry.event.text.len();
        self.entries.push_back(entry);
        while self.entries.len() > 1
            && (self.entries.len() > bound.events || self.bytes - self.counted() > bound.bytes)
        {
            self.drop_oldest();
        }
    }

    /// Whether the first event after that number is the answer, where there is one. It is not read by that.
    #[must_use]
    pub fn is_answer_next(&self, number: u64) -> Option<bool> {
        let mut after = (self.entries.iter()).filter(|entry| entry.event.number > number);
        after.next().map(|entry| entry.event.last)
    }

    /// The first event after that number, which is read now.
    pub fn after(&mut self, number: u64) -> Option<Event> {
        let found = self.entries.iter_mut();
        let mut found = found.filter(|entry| entry.event.number > number);
        let entry = found.next()?;
        entry.counted = false;
        if let Some(unheard) = entry.unheard.take() {
            unheard.heard();
        }
        Some(entry.event.clone())
    }

    /// The answer, where it is there, which is read now. What comes before it nobody will read, so no question of it is
    /// heard.
    pub fn answer(&mut self) -> Option<Event> {
        self.entries
            .iter_mut()
            .for_each(|entry| drop(entry.unheard.take()));
        let last = self.entries.back().filter(|entry| entry.event.last)?;
        let before = last.event.number - 1;
        self.after(before)
    }

    /// All but the answer goes, and no question of it is heard.
    pub fn keep_answer(&mut self) {
        while (self.entries.front()).is_some_and(|oldest| !oldest.event.last) {
            self.drop_oldest();
        }
        self.entries.shrink_to_fit();
    }

    /// All of it goes.
    pub fn clear(&mut self) {
        while self.drop_oldest() {}
    }

    /// A share for so many bytes that may wait for long. Where others have taken all of it, what waits here goes first.
    #[must_use]
    pub fn stand(&mut self, budget: &Budget, bytes: usize) -> Option<Share> {
        loop {
            let share = budget.try_stand(bytes);
            if share.is_some() || !self.drop_oldest() {
                return share;
            }
        }
    }

    /// Whether nothing waits.
    #[cfg(test)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// False where nothing waits.
    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.entries.pop_front() else {
            return false;
        };
        self.bytes -= oldest.event.text.len();
        self.dropped += 1;
        true
    }

    /// Bytes that are counted elsewhere.
    fn counted(&self) -> usize {
        let counted = self.entries.iter().filter(|entry| entry.counted);
        counted.map(|entry| entry.event.text.len()).sum()
    }
}
