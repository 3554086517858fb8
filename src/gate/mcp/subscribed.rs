//! The resources that a session wants to hear about: pure.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

/// Most of one session.
const MAX: usize = 256;
/// Most bytes of their names.
const MAX_BYTES: usize = 16 * 1024;

/// Resources by their URIs.
#[derive(Debug, Default)]
pub struct Subscribed {
    by_uri: HashMap<String, CancellationToken>,
    bytes: usize,
}

/// The session, or all together, want to hear about too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are too many subscriptions")]
pub struct TooMany;

impl Subscribed {
    /// One more, which ends with `until` and not later; `None` where it is there already.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn add(
        &mut self,
        uri: String,
        until: CancellationToken,
    ) -> Result<Option<CancellationToken>, TooMany> {
        if self.has(&uri) {
            return Ok(None);
        }
        if self.by_uri.len() >= MAX || self.bytes + uri.len() > MAX_BYTES {
            return Err(TooMany);
        }
        self.bytes += uri.len();
        self.by_uri.insert(uri, until.clone());
        Ok(Some(until))
    }

    /// No longer.
    pub fn remove(&mut self, uri: &str) {
        if let Some(until) = self.by_uri.remove(uri) {
            self.bytes -= uri.len();
            until.cancel();
        }
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, uri: &str) -> bool {
        self.by_uri.contains_key(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_once_and_ends() {
        let mut all = Subscribed::default();
        let until = all.add("a".to_owned(), CancellationToken::new());
        let until = until.unwrap().unwrap();
        assert!(
            all.add("a".to_owned(), CancellationToken::new())
                .unwrap()
                .is_none()
        );
        assert!(!until.is_cancelled());
        all.remove("a");
        assert!(until.is_cancelled() && !all.has("a"));
    }

    #[test]
    fn names_are_bounded_in_number_and_in_bytes() {
        let mut all = Subscribed::default();
        let mut add = |uri: String| all.add(uri, CancellationToken::new()).is_ok();
        assert!(!add("x".repeat(MAX_BYTES + 1)));
        for number in 0..MAX {
            assert!(add(number.to_string()));
        }
        assert!(!add("one more".to_owned()));
        let mut all = Subscribed::default();
        assert!(
            all.add("x".repeat(MAX_BYTES), CancellationToken::new())
                .is_ok()
        );
        assert!(all.add("y".to_owned(), CancellationToken::new()).is_err());
        all.remove(&"x".repeat(MAX_BYTES));
        assert!(all.add("y".to_owned(), CancellationToken::new()).is_ok());
    }
}
