//! What was written last, for as long as the stores may not show it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Resource;

use super::amiss::Lasting;
use super::version;

/// How long a write counts that the store does not show. A watch is seldom more than a second behind.
pub const UNSEEN: Duration = Duration::from_secs(10);
/// After so long something that the API server itself puts back is tried again, if the object is looked at: who does it
/// may be gone.
const SETTLED: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
struct Wrote {
    hash: String,
    at: Instant,
    /// The resourceVersion that the store must show before its object counts again.
    version: u64,
    /// What the answer to the write had that is not wanted.
    lasting: Lasting,
}

/// What the store has of a child, beside what was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// That, or something newer.
    Shown,
    /// Not that yet, and it is what is wanted now.
    Unseen,
    /// Not that yet, and something else is wanted by now.
    Behind,
}

/// The last write of each child.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<String, Wrote>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Wrote>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the store shows what was written a moment ago.
    pub(super) fn sight<K: Resource>(&self, key: &str, hash: &str, there: Option<&K>) -> Sight {
        let mut wrote = self.lock();
        let Some(last) = wrote.get(key) else {
            return Sight::Shown;
        };
        let behind = there.is_none_or(|there| version(there) < last.version);
        if behind && last.at.elapsed() < UNSEEN {
            return if last.hash == hash {
                Sight::Unseen
            } else {
                Sight::Behind
            };
        }
        if behind || last.lasting.is_empty() {
            wrote.remove(key);
        }
        Sight::Shown
    }

    /// What is not as wanted in a child and would be there after another write of the same.
    pub(super) fn lasting(&self, key: &str, hash: &str) -> Lasting {
        let wrote = self.lock();
        let last = wrote.get(key);
        let last = last.filter(|last| last.hash == hash && last.at.elapsed() < SETTLED);
        last.map(|last| last.lasting.clone()).unwrap_or_default()
    }

    /// The child was written and is now as the API server answered.
    pub(super) fn remember<K: Resource>(
        &self,
        key: String,
        hash: String,
        after: &K,
        lasting: Lasting,
    ) {
        let mut wrote = self.lock();
        // Of children that are gone nothing is kept.
        wrote.retain(|_, last| {
            let counts = if last.lasting.is_empty() {
                UNSEEN
            } else {
                SETTLED
            };
            last.at.elapsed() < counts
        });
        let last = Wrote {
            hash,
            at: Instant::now(),
            version: version(after),
            lasting,
        };
        wrote.insert(key, last);
    }
}
