//! The calls of a session and their streams: each is read by whoever takes it up, also after its connection broke, and
//! given up when nobody does for long. A connection can break with an answer in it, and nothing tells the gate: so an
//! answer is kept for a while after it was handed out, too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Said;
use super::open::{MAX_CALLS, NotOpened, Open};
use super::outbox::Outbox;
use super::session::{STANDING_STREAM, Session, State};
use super::unheard::Unheard;
use crate::mcp::Id;

/// Answers of one session for which its client can come back.
const MAX_KEPT: usize = 16;

/// A stream that is read.
#[derive(Debug)]
pub struct Reading {
    session: Arc<Session>,
    /// The call whose stream it is, if it is one's.
    open: Option<Arc<Open>>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.ends();
            if open.tidy() {
                self.session.budget.keeps(&open.outbox);
            }
        }
        let mut state = self.session.state();
        state.readers = state.readers.saturating_sub(1);
        state.used = Instant::now();
    }
}

impl State {
    /// A call, under way or over, by the number of its stream.
    fn call(&self, stream: u64) -> Option<Arc<Open>> {
        let mut all = self.open.values().chain(&self.kept);
        all.find(|open| open.stream == stream).map(Arc::clone)
    }
}

impl Session {
    /// The stream of that number is read until the guard goes.
    #[must_use]
    pub fn reads(self: &Arc<Self>, stream: u64) -> Reading {
        let mut state = self.state();
        state.readers += 1;
        let open = state.call(stream);
        drop(state);
        if let Some(open) = &open {
            open.begins();
        }
        let session = Arc::clone(self);
        Reading { session, open }
    }

    /// Gives up the calls whose streams nobody has read for this long. Whoever comes back all the same reads an error. For
    /// an answer that was handed out nobody comes any more.
    pub fn give_up_unread(&self, grace: Duration) {
        let mut state = self.state();
        let unread = (state.open.iter()).filter(|(_, open)| open.is_unread(grace));
        unread.for_each(|(id, open)| open.give_up_unread(id));
        let came = |open: &Open| open.outbox.is_read() && open.is_unread(grace);
        state.kept.retain(|open| !came(open));
    }

    /// Begins a call.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, id: &Id) -> Result<Arc<Open>, NotOpened> {
        let mut state = self.state();
        if state.open.contains_key(id) {
            return Err(NotOpened::SameId);
        }
        if state.open.len() >= MAX_CALLS {
            return Err(NotOpened::TooMany);
        }
        state.last_stream += 1;
        let open = Arc::new(Open::new(state.last_stream, self.ended.child_token()));
        state.open.insert(id.clone(), Arc::clone(&open));
        Ok(open)
    }

    /// A call is over; its stream stays for a while for whoever takes it up again.
    pub fn over(&self, id: &Id) {
        let mut state = self.state();
        state.used = Instant::now();
        let Some(open) = state.open.remove(id) else {
            return;
        };
        // Whoever is there reads it still: it gives way once that one is gone.
        if open.tidy() {
            self.budget.keeps(&open.outbox);
        }
        state.kept.push_back(open);
        state.kept.retain(|open| open.outbox.goes_on(0));
        if state.kept.len() > MAX_KEPT {
            let read = state.kept.iter().position(|open| open.outbox.is_read());
            state.kept.remove(read.unwrap_or_default());
        }
    }

    /// All of a stream was handed out. Where others need its room, they have it before that of what was not.
    pub fn read(&self, stream: u64) {
        let state = self.state();
        if let Some(open) = state.kept.iter().find(|open| open.stream == stream) {
            self.budget.keeps(&open.outbox);
        }
    }

    /// Nobody can come back for a stream.
    pub fn forget(&self, stream: u64) {
        self.state().kept.retain(|open| open.stream != stream);
    }

    /// A call that is under way.
    #[must_use]
    pub fn under_way(&self, id: &Id) -> Option<Arc<Open>> {
        self.state().open.get(id).map(Arc::clone)
    }

    /// A stream by its number.
    #[must_use]
    pub fn stream(&self, number: u64) -> Option<Arc<Outbox>> {
        if number == STANDING_STREAM {
            return Some(Arc::clone(&self.standing));
        }
        let call = self.state().call(number)?;
        Some(Arc::clone(&call.outbox))
    }

    /// What the session's own child says beside answers: a question, where somebody is told that nobody reads it, or else a
    /// notification. A call that has its answer takes nothing more, also while it is not over yet.
    pub fn hears(&self, said: Said, unheard: Option<Unheard>) {
        if let Err(late) = self.beside(unheard.is_some()).offer(said, unheard) {
            let (said, unheard) = *late;
            let _ = self.standing.offer(said, unheard);
        }
    }

    /// Where that goes: to the stream of the newest call that is read, which it most likely is about, or to the standing
    /// one. Where nothing is read, what the child `asks` goes to the newest call: given up with that, it is answered, and
    /// the standing stream could wait for its client for ever.
    fn beside(&self, asks: bool) -> Arc<Outbox> {
        let state = self.state();
        let is_read = |open: &Open| !open.is_unread(Duration::ZERO);
        let calls = state.open.values();
        let newest = calls.max_by_key(|open| (is_read(open), open.stream));
        let newest = newest.filter(|open| is_read(open) || asks && state.readers == 0);
        Arc::clone(newest.map_or(&self.standing, |open| &open.outbox))
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::mcp::{Message, Object};

    fn answer(open: &Open) {
        open.outbox
            .finish(Message::result(&Id::number(1), &1).into());
    }

    fn question() -> (Message, Unheard, CancellationToken) {
        let lost = CancellationToken::new();
        let told = lost.clone();
        let question = Message::request(&Id::number(1), "roots/list", Object::default());
        (question, Unheard::new(move || told.cancel()), lost)
    }

    #[test]
    fn an_id_is_used_once_at_a_time() {
        let session = Session::sample();
        let (one, two) = (Id::number(1), Id::number(2));
        session.open(&one).unwrap();
        assert_eq!(session.open(&one).unwrap_err(), NotOpened::SameId);
        session.open(&two).unwrap();
        session.over(&one);
        assert_eq!(session.open(&one).unwrap().stream, 3);
    }

    /// A connection that breaks while its answer is written has been handed all of it.
    #[tokio::test]
    async fn what_is_over_can_be_taken_up_also_when_it_was_handed_out() {
        let session = Session::sample();
        let ends = |number: u64| {
            answer(&session.open(&Id::number(number)).unwrap());
            session.over(&Id::number(number));
        };
        (0..20).for_each(ends);
        let there = || -> Vec<u64> {
            let all = (1..=22).filter(|n| session.stream(*n).is_some());
            all.collect()
        };
        assert_eq!(there(), (5..=20).collect::<Vec<_>>());
        for _ in 0..2 {
            let said = session.stream(7).unwrap().after(0).await.unwrap();
            assert!(said.last, "again");
            session.read(7);
        }
        session.give_up_unread(Duration::from_secs(60));
        ends(20);
        let left: Vec<u64> = (5..=21).filter(|n| *n != 7).collect();
        assert_eq!(there(), left, "it goes first");
        session.stream(9).unwrap().after(0).await.unwrap();
        session.give_up_unread(Duration::ZERO);
        assert!(session.stream(9).is_none() && session.stream(5).is_some());
        session.forget(5);
        assert!(session.stream(5).is_none());
    }

    #[test]
    fn of_what_is_over_and_not_read_only_the_answer_waits() {
        let session = Arc::new(Session::sample());
        let (id, there) = (Id::number(1), Id::number(2));
        for (id, goes) in [(&id, true), (&there, false)] {
            let open = session.open(id).unwrap();
            let reading = session.reads(open.stream);
            let (question, unheard, lost) = question();
            open.outbox.ask(question.into(), unheard);
            answer(&open);
            let reading = (!goes).then_some(reading);
            session.over(id);
            assert_eq!(lost.is_cancelled(), goes, "whoever is there may read it");
            drop(reading);
            assert!(lost.is_cancelled(), "nobody will");
            assert!(open.outbox.goes_on(1) && !open.outbox.goes_on(2));
        }
    }

    #[tokio::test]
    async fn an_answer_gives_way_once_its_reader_is_gone() {
        let session = Arc::new(Session::sample());
        let id = Id::number(1);
        let open = session.open(&id).unwrap();
        let reading = session.reads(open.stream);
        let all = Arc::clone(&session.budget);
        let (message, budget) = (Message::result(&id, &1), all.try_take(4 * 1024));
        open.outbox.finish(Said { message, budget });
        let waits = tokio::spawn(async move { all.take(4 * 1024).await.is_some() });
        tokio::task::yield_now().await;
        session.over(&id);
        assert!(open.outbox.goes_on(0), "whoever is there reads it");
        drop(reading);
        assert!(!open.outbox.goes_on(0));
        assert!(waits.await.unwrap());
    }

    #[test]
    fn what_the_server_says_goes_where_it_is_read() {
        let session = Arc::new(Session::sample());
        let calls = [1, 2].map(|number| session.open(&Id::number(number)).unwrap());
        let goes = |asks| {
            let to = session.beside(asks);
            calls.iter().position(|call| Arc::ptr_eq(&call.outbox, &to))
        };
        assert_eq!(
            [true, false].map(goes),
            [Some(1), None],
            "whoever comes back"
        );
        let _standing = session.reads(STANDING_STREAM);
        assert_eq!([true, false].map(goes), [None, None]);
        let _first = session.reads(calls[0].stream);
        assert_eq!([true, false].map(goes), [Some(0), Some(0)]);
        let _second = session.reads(calls[1].stream);
        assert_eq!([true, false].map(goes), [Some(1), Some(1)], "the newest");
    }

    #[tokio::test]
    async fn what_the_server_says_after_the_answer_goes_beside_its_call() {
        let session = Arc::new(Session::sample());
        let open = session.open(&Id::number(1)).unwrap();
        let _reading = session.reads(open.stream);
        answer(&open);
        let (question, unheard, lost) = question();
        let asked = question.to_line();
        session.hears(question.into(), Some(unheard));
        assert!(!lost.is_cancelled());
        assert_eq!(session.standing.after(0).await.unwrap().text, asked);
    }

    #[tokio::test]
    async fn a_call_that_nobody_reads_is_given_up_after_a_while() {
        let session = Arc::new(Session::sample());
        let (left, read) = (Id::number(1), Id::number(2));
        let opens = [&left, &read].map(|id| session.open(id).unwrap());
        let readings = [1, 2].map(|stream| session.reads(stream));
        session.give_up_unread(Duration::ZERO);
        assert!(opens.iter().all(|open| !open.cancel.is_cancelled()));
        let [gone, there] = readings;
        drop(gone);
        session.give_up_unread(Duration::from_secs(60));
        assert!(!opens[0].cancel.is_cancelled(), "it may come back");
        let back = session.reads(1);
        session.give_up_unread(Duration::ZERO);
        assert!(!opens[0].cancel.is_cancelled(), "it is back");
        drop(back);
        session.give_up_unread(Duration::ZERO);
        let given_up = opens.each_ref().map(|open| open.cancel.is_cancelled());
        assert_eq!(given_up, [true, false]);
        session.over(&left);
        let said = session.stream(1).unwrap().after(0).await.unwrap();
        assert!(said.last, "whoever comes back is told");
        drop(there);
    }
}
