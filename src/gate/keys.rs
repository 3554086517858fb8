//! The API keys: files of a mounted Secret, read again and again, since the kubelet fills them in late.
//!
//! The name of an entry names its key, and a second entry `<name>.expires` may say until when it holds.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::mounted::Mounted;

mod files;

use files::{Found, MAX_KEYS, read};

/// The SHA-256 of a key; keys themselves are not kept.
type Hash = [u8; 32];

/// The keys that are accepted.
#[derive(Debug)]
pub struct Keys {
    dir: Mounted,
    known: RwLock<Arc<[Key]>>,
    /// How many there were too many, as it was told last.
    surplus: AtomicUsize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    name: String,
    hash: Hash,
    expires: Option<Timestamp>,
}

/// The name of a key that was accepted, for the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyId(pub String);

/// A key that was accepted, by its name and its hash: an entry of that name may hold another key later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPass {
    name: String,
    hash: Hash,
}

/// Why a key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is none like it.
    Unknown,
    /// Its time is over.
    Expired,
}

impl Keys {
    /// Reads the directory for the first time.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        let keys = Self {
            dir: Mounted::new(dir),
            known: RwLock::new(Arc::new([])),
            surplus: AtomicUsize::new(0),
        };
        keys.reload();
        keys
    }

    /// Reads the directory again. What cannot be read is no key: with none left, nobody is let in.
    pub fn reload(&self) {
        let Some(found) = self.dir.when_changed(read) else {
            return;
        };
        let found = found.unwrap_or_else(|error| {
            let dir = self.dir.path().display();
            tracing::warn!(%error, %dir, "failed to read the API keys: none is accepted");
            Found::default()
        });
        let surplus = found.surplus;
        if self.surplus.swap(surplus, Ordering::Relaxed) != surplus && surplus > 0 {
            let dir = self.dir.path().display();
            tracing::warn!(surplus, most = MAX_KEYS, %dir, "too many API keys: the last ones are not accepted");
        }
        let found: Arc<[Key]> = found.keys.into();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if *known != found {
            tracing::info!(keys = found.len(), "API keys changed");
            *known = found;
        }
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known().is_empty()
    }

    /// Where the keys should be.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whose key it is. Its hash is compared with that of every key in constant time.
    ///
    /// # Errors
    /// [`Wrong`].
    pub fn check(&self, sent: &[u8], now: Timestamp) -> Result<KeyId, Wrong> {
        let sent = hash(sent);
        let known = self.known();
        // Every key is compared, whichever fits.
        let fits = |key: &&Key| sent.ct_eq(&key.hash).into();
        let fitting: Vec<&Key> = known.iter().filter(fits).collect();
        let holds = |key: &&&Key| key.expires.is_none_or(|end| now < end);
        match fitting.iter().find(holds) {
            Some(key) => Ok(KeyId(key.name.clone())),
            None if fitting.is_empty() => Err(Wrong::Unknown),
            None => Err(Wrong::Expired),
        }
    }

    /// What is remembered of a key that was accepted, to ask later whether it still is.
    #[must_use]
    pub fn pass(id: &KeyId, sent: &[u8]) -> KeyPass {
        KeyPass {
            name: id.0.clone(),
            hash: hash(sent),
        }
    }

    /// Whether that key is still there, as the directory was read last, and its time is not over.
    #[must_use]
    pub fn holds(&self, pass: &KeyPass, now: Timestamp) -> bool {
        let same = |key: &&Key| key.name == pass.name && key.hash == pass.hash;
        let known = self.known();
        let key = known.iter().find(same);
        key.is_some_and(|key| key.expires.is_none_or(|end| now < end))
    }

    /// How many keys there are, those too whose time is over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> Arc<[Key]> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }
}

fn hash(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
