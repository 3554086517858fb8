//! The memory that a server's messages may take, over all its children, until their clients have them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::outbox::Outbox;
use crate::gate::bodies::kib;

/// For others to be done with theirs: shorter than what the gate gives a child to answer a ping, which waits behind.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is no longer than this passes without a share: the number of calls bounds it.
pub const SMALL: usize = 4 * 1024;
/// What streams that nobody may read for long have beside that: one of so many parts.
const STANDING: usize = 4;
/// What a message takes there beside its text, in bytes.
const BESIDE: usize = 256;
/// Most answers that are kept for clients that went.
const MAX_KEPT: usize = 4096;

/// A share of the memory, free again when it is dropped.
pub type Share = OwnedSemaphorePermit;

/// Answers that are kept: first those that were handed out, for which only a client comes back whose connection broke.
type Kept = [VecDeque<Weak<Outbox>>; 2];

/// The memory. Answers that are kept for clients that may come back have what nobody else needs.
#[derive(Debug)]
pub struct Budget {
    free: Arc<Semaphore>,
    /// In bytes, for what nobody may read for long.
    standing: Arc<Semaphore>,
    waiting: AtomicUsize,
    kept: Mutex<Kept>,
}

impl Budget {
    /// Of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(kib(bytes))),
            standing: Arc::new(Semaphore::new(bytes / STANDING)),
            waiting: AtomicUsize::new(0),
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A share for so many bytes, if there is one now.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Share> {
        let need = u32::try_from(kib(bytes)).ok()?;
        Arc::clone(&self.free).try_acquire_many_owned(need).ok()
    }

    /// A share for a message of so many bytes in a stream that nobody may read for long, if there is one now. It is of a
    /// memory beside the other one: what nobody reads would keep answers from those who wait for them.
    #[must_use]
    pub fn try_stand(&self, bytes: usize) -> Option<Share> {
        let need = u32::try_from(bytes + BESIDE).ok()?;
        Arc::clone(&self.standing).try_acquire_many_owned(need).ok()
    }

    /// A share for so many bytes, for which kept answers give way.
    #[must_use]
    pub fn take_now(&self, bytes: usize) -> Option<Share> {
        loop {
            let share = self.try_take(bytes);
            if share.is_some() || !self.give_way(true) {
                return share;
            }
        }
    }

    /// The same, for which others get a moment to be read, too.
    pub async fn take(&self, bytes: usize) -> Option<Share> {
        if let Some(share) = self.take_now(bytes) {
            return Some(share);
        }
        let _waits = Waits::new(&self.waiting);
        // What was kept meanwhile saw nobody wait.
        if let Some(share) = self.take_now(bytes) {
            return Some(share);
        }
        let need = u32::try_from(kib(bytes)).ok()?;
        let share = Arc::clone(&self.free).acquire_many_owned(need);
        timeout(PATIENCE, share).await.ok()?.ok()
    }

    /// This is over and nobody reads it: it is kept while there is room. Said again once it was handed out, it goes before
    /// all that were not.
    pub fn keeps(&self, outbox: &Arc<Outbox>) {
        let weak = Arc::downgrade(outbox);
        let over = {
            let mut kept = self.kept();
            // Each counts once, and what is gone not at all.
            for queue in &mut *kept {
                queue.retain(|one| one.strong_count() > 0 && !one.ptr_eq(&weak));
            }
            kept[usize::from(!outbox.is_read())].push_back(weak);
            kept.iter().map(VecDeque::len).sum::<usize>() > MAX_KEPT
        };
        if over {
            self.give_way(false);
        }
        // Whoever waits has looked before this was here.
        while self.waiting.load(Ordering::SeqCst) > 0 && self.give_way(true) {}
    }

    /// Forgets the oldest kept answer that was handed out or, without one, the oldest of all; false when there is none. Who
    /// needs memory has none from what holds no `share`.
    fn give_way(&self, share: bool) -> bool {
        let oldest = {
            let mut kept = self.kept();
            kept.iter_mut().find_map(|queue| {
                let gives = |one: Arc<Outbox>| !share || one.holds_share();
                let at = queue
                    .iter()
                    .position(|one| one.upgrade().is_some_and(gives))?;
                queue.remove(at)?.upgrade()
            })
        };
        oldest.is_some_and(|outbox| {
            outbox.forget();
            true
        })
    }
}

/// A text that keeps its share until the last of it is dropped.
#[must_use]
pub fn held(text: Vec<u8>, share: Option<Share>) -> Bytes {
    match share {
        Some(share) => Bytes::from_owner(Held(text, share)),
        None => text.into(),
    }
}

struct Held(Vec<u8>, #[expect(dead_code, reason = "held")] Share);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A share that grows with what comes.
#[derive(Debug)]
pub struct Growing {
    budget: Arc<Budget>,
    share: Option<Share>,
}

impl Growing {
    /// Nothing yet.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            share: None,
        }
    }

    /// Grows to so many bytes; false when there is no room. What is small needs none.
    #[must_use]
    pub fn to(&mut self, bytes: usize) -> bool {
        let Some(missing) = self.missing(bytes) else {
            return true;
        };
        let more = self.budget.try_take(missing);
        self.add(more)
    }

    /// The same, for which kept answers give way, and others get a moment to be read.
    pub async fn reach(&mut self, bytes: usize) -> bool {
        let Some(missing) = self.missing(bytes) else {
            return true;
        };
        let more = self.budget.take(missing).await;
        self.add(more)
    }

    /// What so many bytes need beside what it has.
    fn missing(&self, bytes: usize) -> Option<usize> {
        let has = self
            .share
            .as_ref()
            .map_or(0, |share| 1024 * share.num_permits());
        (bytes > has.max(SMALL)).then(|| bytes - has)
    }

    fn add(&mut self, more: Option<Share>) -> bool {
        match (&mut self.share, more) {
            (_, None) => return false,
            (Some(share), Some(more)) => share.merge(more),
            (share @ None, more) => *share = more,
        }
        true
    }

    /// What it has grown to.
    #[must_use]
    pub fn into_share(self) -> Option<Share> {
        self.share
    }

    /// Keeps what so many bytes need, and gives the rest: to what goes on its way.
    #[must_use]
    pub fn leave(&mut self, bytes: usize) -> Option<Share> {
        let needs = if bytes > SMALL { kib(bytes) } else { 0 };
        let share = self.share.as_mut()?;
        let rest = share.split(share.num_permits().saturating_sub(needs));
        if needs == 0 {
            self.share = None;
        }
        rest
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::mcp::call::Said;
    use crate::gate::mcp::outbox::CALL;
    use crate::mcp::{Id, Message};

    const MIB: usize = 1024 * 1024;

    fn answer(budget: &Budget) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new(CALL));
        let message = Message::result(&Id::number(1), &"x".repeat(MIB - 100));
        let budget = budget.try_take(MIB);
        assert!(budget.is_some());
        outbox.finish(Said { message, budget });
        outbox
    }

    #[tokio::test]
    async fn what_is_kept_gives_way_the_oldest_first() {
        let budget = Budget::new(4 * MIB);
        let kept: Vec<_> = (0..4).map(|_| answer(&budget)).collect();
        kept.iter().for_each(|outbox| budget.keeps(outbox));
        assert!(budget.try_take(MIB).is_none());
        let share = budget.take(2 * MIB).await;
        assert!(share.is_some());
        let left = [0, 1, 2, 3].map(|at: usize| kept[at].holds_anything());
        assert_eq!(left, [false, false, true, true]);
    }

    #[tokio::test]
    async fn what_was_handed_out_gives_way_before_what_nobody_has() {
        let budget = Budget::new(3 * MIB);
        let kept: Vec<_> = (0..3).map(|_| answer(&budget)).collect();
        kept.iter().for_each(|outbox| budget.keeps(outbox));
        assert!(kept[1].after(0).await.is_some());
        budget.keeps(&kept[1]);
        let there = || [0, 1, 2].map(|at: usize| kept[at].holds_anything());
        let _share = budget.take_now(MIB).unwrap();
        assert_eq!(there(), [true, false, true]);
        let _more = budget.take_now(MIB).unwrap();
        assert_eq!(there(), [false, false, true]);
    }

    #[tokio::test]
    async fn what_is_kept_while_somebody_waits_gives_way_at_once() {
        let budget = Arc::new(Budget::new(MIB));
        let outbox = answer(&budget);
        let waits = Arc::clone(&budget);
        let waits = tokio::spawn(async move { waits.take(MIB).await.is_some() });
        tokio::task::yield_now().await;
        let small = Arc::new(Outbox::new(CALL));
        small.finish(Message::result(&Id::number(2), &1).into());
        budget.keeps(&small);
        budget.keeps(&outbox);
        assert!(waits.await.unwrap());
        assert!(small.holds_anything(), "it has nothing to give");
    }

    #[tokio::test]
    async fn an_answer_is_kept_once_and_not_when_it_is_gone() {
        let budget = Budget::new(2 * MIB);
        let (outbox, gone) = (answer(&budget), answer(&budget));
        budget.keeps(&outbox);
        budget.keeps(&gone);
        drop(gone);
        assert!(outbox.after(0).await.is_some());
        for _ in 0..2 {
            budget.keeps(&outbox);
        }
        let kept = budget.kept().each_ref().map(VecDeque::len);
        assert_eq!(kept, [1, 0]);
    }

    #[test]
    fn a_share_grows_and_goes_with_its_text() {
        let budget = Arc::new(Budget::new(MIB));
        let mut growing = Growing::new(Arc::clone(&budget));
        assert!(growing.to(SMALL) && growing.share.is_none());
        assert!(growing.to(SMALL + 1) && growing.to(MIB) && growing.to(7));
        assert!(!growing.to(MIB + 1));
        assert!(budget.try_take(1).is_none());
        let text = held(vec![0; 7], growing.into_share());
        assert!(budget.try_take(1).is_none());
        drop(text);
        assert!(budget.try_take(MIB).is_some());
    }

    #[test]
    fn a_share_leaves_with_what_it_was_for() {
        let budget = Arc::new(Budget::new(MIB));
        let mut growing = Growing::new(Arc::clone(&budget));
        assert!(growing.to(MIB));
        let rest = growing.leave(MIB / 4);
        assert_eq!(rest.unwrap().num_permits(), 768);
        assert!(budget.try_take(MIB / 4 * 3).is_some());
        assert!(growing.to(MIB / 2));
        drop(growing.leave(7));
        assert!(growing.share.is_none() && budget.try_take(MIB).is_some());
        assert!(growing.leave(0).is_none());
    }

    #[tokio::test]
    async fn what_is_read_is_counted_until_its_client_has_it() {
        let budget = Budget::new(MIB);
        let outbox = answer(&budget);
        let event = outbox.after(0).await.unwrap();
        drop(outbox);
        assert!(budget.take(MIB).await.is_none(), "its bytes are there");
        drop(event);
        assert!(budget.take(MIB).await.is_some());
    }
}
