//! Tokens of an OpenID provider: signed JWTs (RFC 7519), checked as RFC 8725 says, without asking anybody.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::jwks::{KeySet, MAX_FILE};
use super::mounted::{self, Mounted};
use crate::seal::wire::TokenKeys;

mod claims;
mod error;
mod jwt;
#[cfg(test)]
pub(super) mod provider;

pub use claims::{Expected, Person};
pub use error::TokenError;
use jwt::verify;
pub use jwt::{TokenPass, is_jwt};

/// Where the keys are, and what tokens must say.
#[derive(Clone, Debug)]
pub struct Config {
    /// A JWK Set in a mounted ConfigMap.
    pub file: PathBuf,
    /// The claims.
    pub expected: Expected,
}

/// The provider's keys, read again and again, since the platform replaces them while the gate runs.
#[derive(Debug)]
pub struct Tokens {
    dir: Mounted,
    file: PathBuf,
    expected: Expected,
    known: RwLock<Known>,
    /// Of the file that was read last.
    hash: Mutex<Option<[u8; 32]>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: Arc<KeySet>,
    /// The newest file is no key set: these keys are of the one before.
    outdated: bool,
}

impl Tokens {
    /// Reads the keys for the first time.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let dir = config.file.parent().unwrap_or(Path::new("/")).to_owned();
        let tokens = Self {
            dir: Mounted::new(dir),
            file: config.file,
            expected: config.expected,
            known: RwLock::default(),
            hash: Mutex::default(),
        };
        tokens.reload();
        tokens
    }

    /// Reads the file again. Without it there is no key; one that is no key set leaves the keys as they are.
    pub fn reload(&self) {
        let name = self.file.file_name().unwrap_or_default();
        let read = |dir: &Path| mounted::read(&dir.join(name), MAX_FILE);
        let Some(read) = self.dir.when_changed(read) else {
            return;
        };
        let text = read
            .inspect_err(|error| {
                let file = self.file.display();
                tracing::warn!(%error, %file, "failed to read the key set: no token is accepted");
            })
            .ok();
        let new = text.as_ref().map(|text| Sha256::digest(text).into());
        let mut hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        if *hash == new {
            return;
        }
        *hash = new;
        let keys = text
            .as_deref()
            .map_or_else(|| Ok(KeySet::default()), KeySet::parse);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match keys {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "the key set of tokens changed");
                *known = Known {
                    keys: Arc::new(keys),
                    outdated: false,
                };
            }
            Err(error) => {
                tracing::error!(%error, "failed to read the key set: the one before holds");
                known.outdated = true;
            }
        }
    }

    /// What is to be said about the keys.
    #[must_use]
    pub fn keys(&self) -> TokenKeys {
        let known = self.known();
        match (known.keys.is_empty(), known.outdated) {
            (true, _) => TokenKeys::Missing,
            (false, true) => TokenKeys::Outdated,
            (false, false) => TokenKeys::Good,
        }
    }

    /// Where the keys should be.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whom the token names, and what is remembered of it.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn check(&self, token: &[u8], now: Timestamp) -> Result<(Person, TokenPass), TokenError> {
        let keys = self.known().keys;
        if keys.is_empty() {
            return Err(TokenError::KeySetMissing);
        }
        verify(token, &keys, &self.expected, now)
    }

    /// Whether the key that signed a token is still in the key set, as it was read last.
    #[must_use]
    pub fn knows_signer(&self, pass: &TokenPass) -> bool {
        self.known().keys.has(&pass.signer)
    }

    fn known(&self) -> Known {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
