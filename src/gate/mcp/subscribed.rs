//! The resources that a session wants to hear about.

use std::collections::HashMap;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::telling::PATIENCE;

/// Most of one session.
const MAX: usize = 256;
/// Most bytes of their names.
const MAX_BYTES: usize = 16 * 1024;

/// Resources by their URIs.
#[derive(Debug, Default)]
pub struct Subscribed {
    by_uri: HashMap<String, Wanted>,
    bytes: usize,
}

/// One of them, for all who asked for it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Until then.
    pub until: CancellationToken,
    /// The server has agreed.
    pub agreed: CancellationToken,
}

impl Wanted {
    /// Waits for the server: whether it has agreed. Who asks it is somebody else.
    pub async fn is_agreed(&self) -> bool {
        let agreed = self.agreed.cancelled();
        let agreed = self.until.run_until_cancelled(timeout(PATIENCE, agreed));
        matches!(agreed.await, Some(Ok(())))
    }
}

/// The session, or all together, want to hear about too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are too many subscriptions")]
pub struct TooMany;

impl Subscribed {
    /// One more, which ends with `until` and not later; and whether it is new. Where it is there already, it is that one.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn add(
        &mut self,
        uri: String,
        until: CancellationToken,
    ) -> Result<(Wanted, bool), TooMany> {
        if let Some(wanted) = self.by_uri.get(&uri) {
            return Ok((wanted.clone(), false));
        }
        if self.by_uri.len() >= MAX || self.bytes + uri.len() > MAX_BYTES {
            return Err(TooMany);
        }
        self.bytes += uri.len();
        let agreed = CancellationToken::new();
        let wanted = Wanted { until, agreed };
        self.by_uri.insert(uri, wanted.clone());
        Ok((wanted, true))
    }

    /// No longer.
    pub fn remove(&mut self, uri: &str) {
        if let Some(wanted) = self.by_uri.remove(uri) {
            self.bytes -= uri.len();
            wanted.until.cancel();
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
        let mut add = || all.add("a".to_owned(), CancellationToken::new()).unwrap();
        let (wanted, is_new) = add();
        assert!(is_new && !add().1);
        assert!(!wanted.until.is_cancelled());
        all.remove("a");
        assert!(wanted.until.is_cancelled() && !all.has("a"));
    }

    #[tokio::test]
    async fn who_asks_for_it_again_waits_until_the_server_has_agreed() {
        for agrees in [true, false] {
            let mut all = Subscribed::default();
            let mut add = || all.add("a".to_owned(), CancellationToken::new()).unwrap();
            let (first, again) = (add().0, add().0);
            let mut waits = std::pin::pin!(again.is_agreed());
            assert!(futures::poll!(waits.as_mut()).is_pending());
            if agrees {
                first.agreed.cancel();
            } else {
                all.remove("a");
            }
            assert_eq!(waits.await, agrees);
        }
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
