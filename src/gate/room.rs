//! A bounded memory that answers in one piece share while they are read and until their client has taken them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of all answers together in bytes.
pub const ANSWERS: usize = 32 * 1024 * 1024;
/// In what it is counted, in bytes.
const UNIT: usize = 1024;

/// The memory. Nobody waits for it: who gets none does without.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// A part of it, free again when this is dropped.
#[derive(Debug)]
pub struct Share {
    room: Room,
    taken: Option<OwnedSemaphorePermit>,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(ANSWERS)
    }
}

impl Room {
    /// For so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// Nothing yet.
    #[must_use]
    pub fn share(&self) -> Share {
        Share {
            room: self.clone(),
            taken: None,
        }
    }
}

impl Share {
    /// Takes as much more as `bytes` need in all; false where there is not so much, and nothing is taken then.
    #[must_use]
    pub fn covers(&mut self, bytes: usize) -> bool {
        let has = self
            .taken
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(UNIT).saturating_sub(has);
        let more = u32::try_from(more)
            .ok()
            .and_then(|more| Arc::clone(&self.room.0).try_acquire_many_owned(more).ok());
        let Some(more) = more else {
            return false;
        };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        true
    }

    /// These bytes, which give the share back when the last of them has left.
    #[must_use]
    pub fn of(self, bytes: Bytes) -> Bytes {
        match self.taken {
            Some(taken) => Bytes::from_owner(Held {
                bytes,
                _taken: taken,
            }),
            None => bytes,
        }
    }
}

/// Bytes and what they take of the memory.
struct Held {
    bytes: Bytes,
    _taken: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(room: &Room) -> usize {
        room.0.available_permits() * UNIT
    }

    #[test]
    fn a_share_grows_while_there_is_room_and_is_free_with_its_last_byte() {
        let room = Room::new(4 * UNIT);
        let (mut one, mut other) = (room.share(), room.share());
        assert!(one.covers(1) && one.covers(UNIT) && one.covers(UNIT + 1));
        assert_eq!(left(&room), 2 * UNIT);
        assert!(other.covers(2 * UNIT));
        assert!(!one.covers(3 * UNIT), "nothing is left");
        assert_eq!(left(&room), 0);
        drop(other);
        assert!(one.covers(3 * UNIT));

        let bytes = one.of(Bytes::from("abc"));
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!(left(&room), UNIT, "a part of them is still there");
        drop(part);
        assert_eq!(left(&room), 4 * UNIT);
    }

    #[test]
    fn nothing_is_held_for_nothing() {
        let room = Room::new(UNIT);
        assert_eq!(room.share().of(Bytes::from("abc")), "abc");
        assert!(!room.share().covers(usize::MAX));
        assert_eq!(left(&room), UNIT);
    }
}
