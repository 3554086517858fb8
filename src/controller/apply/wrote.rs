//! What was written last, for as long as the stores may not show it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Resource;

use super::version;

/// How long a write counts that the store does not show. A watch is seldom more than a second behind.
pub const UNSEEN: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Wrote {
    hash: String,
    at: Instant,
    /// The resourceVersion that the store must show before its object counts again.
    version: u64,
    /// Applying did not bring the wanted state about: not again while the object stays at this version.
    settled: bool,
}

/// The last write of each child.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<String, Wrote>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Wrote>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the same was written a moment ago and the store does not show it.
    pub(super) fn unseen<K: Resource>(&self, key: &str, hash: &str, there: Option<&K>) -> bool {
        let mut wrote = self.lock();
        let Some(last) = wrote.get(key) else {
            return false;
        };
        let behind = there.is_none_or(|there| version(there) < last.version);
        let fresh = last.at.elapsed() < UNSEEN;
        if !behind && !last.settled || behind && !fresh {
            wrote.remove(key);
            return false;
        }
        behind && last.hash == hash
    }

    /// Whether writing the same again would change nothing.
    pub(super) fn settled<K: Resource>(&self, key: &str, hash: &str, there: &K) -> bool {
        self.lock()
            .get(key)
            .is_some_and(|last| last.settled && last.hash == hash && last.version == version(there))
    }

    /// The child was written and is now as the API server answered.
    pub(super) fn remember<K: Resource>(
        &self,
        key: String,
        hash: String,
        after: &K,
        settled: bool,
    ) {
        let mut wrote = self.lock();
        wrote.retain(|_, last| last.settled || last.at.elapsed() < UNSEEN);
        let last = Wrote {
            hash,
            at: Instant::now(),
            version: version(after),
            settled,
        };
        wrote.insert(key, last);
    }
}
