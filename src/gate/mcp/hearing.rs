//! What a child says, on its way to the call that it belongs to.

use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::value::RawValue;

use super::call::Said;
use super::calls::Hears;
use super::child::Child;
use super::house::Owner;
use crate::mcp::Id;
use crate::mcp::translate::SUBSCRIPTION;

impl Child {
    /// Whether an answer with this id says which tools it has.
    #[must_use]
    pub fn lists(&self, id: &Id) -> bool {
        let listing = self.listing.load(Ordering::Relaxed);
        listing != 0 && id.as_number() == Some(listing)
    }

    /// Gives a question to the call that it belongs to.
    ///
    /// # Errors
    /// The question, where nobody can tell to which, or it can be asked nothing.
    pub fn question(&self, said: Said) -> Result<(), Said> {
        self.calls().question(said, Instant::now())
    }

    /// The client of call `number` is back: from now on it knows its progress by this, and hears this.
    pub fn rename(&self, number: u64, token: Option<Box<RawValue>>, hears: Hears) {
        self.calls().rename(number, token, hears);
    }

    /// Gives a note to the call that it names.
    ///
    /// # Errors
    /// The note, where it names no call.
    pub fn note(&self, note: Said) -> Result<(), Said> {
        self.calls().note(note)?;
        self.heard.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives what it logs to the only call of a client that is under way, if that wants it. A child that serves several
    /// could say something of another one.
    ///
    /// # Errors
    /// The note, where nobody knows which call it is about, none hears it, or the child is the gate's own.
    pub fn log(&self, note: Said) -> Result<(), Said> {
        match self.owner {
            Owner::Client => self.calls().to_only(note, Instant::now()),
            Owner::Gate => Err(note),
        }
    }

    /// Gives an answer to the call of that number, and to no other.
    pub fn answer(&self, id: &Id, said: Said) {
        let number = id.as_number();
        if number.is_some_and(|number| self.pongs(number)) {
            self.heard.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let waiter = number.and_then(|number| self.calls().answered(number));
        let Some(waiter) = waiter else {
            tracing::debug!("an answer to nobody");
            return;
        };
        self.heard.fetch_add(1, Ordering::Relaxed);
        let mut message = said.message.with_id(&waiter.id);
        if let Some(mut result) = message.body.object("result")
            && let Some(mut meta) = result.object("_meta")
            && meta.has(SUBSCRIPTION)
        {
            meta.put(SUBSCRIPTION, &waiter.id);
            result.put("_meta", &meta);
            message.body.put("result", &result);
        }
        let _ = waiter.answer.send(Said { message, ..said });
    }

    /// Whether `number` answers the last question whether it lives. Numbers of calls begin with 1.
    fn pongs(&self, number: u64) -> bool {
        let (pinged, relaxed) = (&self.pinged, Ordering::Relaxed);
        number != 0 && (pinged.compare_exchange(number, 0, relaxed, relaxed)).is_ok()
    }
}
