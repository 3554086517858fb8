//! Sequence numbers: one line of them for each gate and each canary, so that one peer's lie moves its own alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far ahead of the own clock a peer's word may move its numbers: a machine whose clock was set to local
/// time is off by less.
pub const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// Why there is no number for what a peer refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// The peer names a number that no predecessor can have used.
    #[error("failed to renumber an order: the peer's last is more than a day ahead of the clock")]
    Ahead,
    /// Something newer was made meanwhile.
    #[error("failed to renumber an order: a newer one was made meanwhile")]
    Overtaken,
}

/// The numbers of one peer. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sequence(Arc<Mutex<u64>>);

impl Sequence {
    /// A number above all before, whatever the clock does: `now` in Unix milliseconds, or one more than the
    /// last.
    #[must_use]
    pub fn next(&self, now: u64) -> u64 {
        let mut newest = self.newest();
        *newest = now.max(newest.saturating_add(1));
        *newest
    }

    /// A number above all before and above the peer's `last`.
    ///
    /// # Errors
    /// [`SequenceError::Ahead`].
    pub fn above(&self, last: u64, now: u64) -> Result<u64, SequenceError> {
        let mut newest = self.newest();
        *newest = checked(last.max(*newest), now)?;
        Ok(*newest)
    }

    /// A number above the peer's `last` for the order that has `seq`, if that is the newest: an order must not
    /// get past one that knew more than its maker did.
    ///
    /// # Errors
    /// [`SequenceError`].
    pub fn again(&self, seq: u64, last: u64, now: u64) -> Result<u64, SequenceError> {
        let mut newest = self.newest();
        if *newest != seq {
            return Err(SequenceError::Overtaken);
        }
        if last >= seq {
            *newest = checked(last, now)?;
        }
        Ok(*newest)
    }

    fn newest(&self) -> MutexGuard<'_, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One more than `last`, within [`MAX_AHEAD`].
fn checked(last: u64, now: u64) -> Result<u64, SequenceError> {
    let ahead = u64::try_from(MAX_AHEAD.as_millis()).unwrap_or(u64::MAX);
    let next = last.checked_add(1).ok_or(SequenceError::Ahead)?;
    (next <= now.saturating_add(ahead))
        .then_some(next)
        .ok_or(SequenceError::Ahead)
}

/// Unix milliseconds by the own clock; 0 before 1970.
#[must_use]
pub fn unix_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const DAY: u64 = 24 * 3600 * 1000;

    #[test]
    fn numbers_grow_whatever_the_clock_does() {
        let sequence = Sequence::default();
        let numbers = [NOW, NOW, NOW - DAY, 0, NOW + 5].map(|now| sequence.next(now));
        assert_eq!(numbers, [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 5]);
        let end = Sequence::default();
        assert_eq!(end.next(u64::MAX), u64::MAX);
        assert_eq!(end.next(NOW), u64::MAX, "no overflow");
    }

    #[test]
    fn what_a_peer_has_seen_is_passed_and_remembered() {
        let sequence = Sequence::default();
        let seq = sequence.next(NOW);
        assert_eq!(sequence.again(seq, NOW + 100, NOW), Ok(NOW + 101));
        assert_eq!(sequence.next(NOW), NOW + 102);
        assert_eq!(sequence.above(NOW + 500, NOW), Ok(NOW + 501));
        assert_eq!(sequence.above(0, NOW), Ok(NOW + 502));
        assert_eq!(sequence.next(NOW), NOW + 503);
    }

    #[test]
    fn a_number_that_the_peer_has_not_passed_is_kept() {
        let sequence = Sequence::default();
        let seq = sequence.next(NOW);
        assert_eq!(sequence.again(seq, seq - 1, NOW), Ok(seq));
        assert_eq!(sequence.again(seq, seq, NOW), Ok(seq + 1));
    }

    #[test]
    fn an_order_does_not_get_past_a_newer_one() {
        let sequence = Sequence::default();
        let older = sequence.next(NOW);
        let newer = sequence.next(NOW);
        let overtaken = Err(SequenceError::Overtaken);
        assert_eq!(sequence.again(older, NOW + 100, NOW), overtaken);
        assert_eq!(sequence.again(newer, NOW + 100, NOW), Ok(NOW + 101));
        assert_eq!(sequence.again(newer, NOW + 100, NOW), overtaken);
    }

    #[test]
    fn no_word_of_a_peer_reaches_further_than_a_day_or_lasts() {
        let sequence = Sequence::default();
        let seq = sequence.next(NOW);
        for last in [NOW + DAY, NOW + DAY + 1, u64::MAX - 1, u64::MAX] {
            let ahead = Err(SequenceError::Ahead);
            assert_eq!(sequence.again(seq, last, NOW), ahead, "{last}");
            assert_eq!(sequence.above(last, NOW), ahead, "{last}");
        }
        assert_eq!(sequence.next(NOW), seq + 1, "nothing has moved");
        // The furthest lie: whoever comes after it gets past it a millisecond later.
        let lied = sequence.above(NOW + DAY - 1, NOW).unwrap();
        assert_eq!(Sequence::default().above(lied, NOW + 1), Ok(lied + 1));
    }
}
