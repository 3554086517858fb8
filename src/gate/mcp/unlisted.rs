//! A server that gives an error instead of a list of its tools: pure.
//!
//! That is no drift. What was known before counts for a while, and the next list is as good as any.

use std::time::{Duration, Instant};

use super::pinned::Pinned;

/// A server that gives errors instead of a list for so long is not known any more.
pub const UNLISTED: Duration = Duration::from_secs(60);

impl Pinned {
    /// After an error instead of a list: whether what runs may go on as it was. It may where its tools were `listed` before
    /// and the errors are no lasting ones, or nobody has said which tools it is to have.
    #[must_use]
    pub fn bears(&self, listed: bool, now: Instant) -> bool {
        self.pin.is_none() || (listed && !self.is_unlisted(now))
    }

    /// Whether there were nothing but errors for so long that the last list says nothing any more.
    #[must_use]
    pub fn is_unlisted(&self, now: Instant) -> bool {
        let since = self.unlisted;
        since.is_some_and(|since| now.saturating_duration_since(since) >= UNLISTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Inventory;
    use crate::mcp::pin::NoInventory;
    use crate::seal::wire::Pin;

    fn list(name: &str) -> Inventory {
        let mut list = Inventory::default();
        list.add(&format!(r#"[{{"name":"{name}"}}]"#)).unwrap();
        list
    }

    fn error() -> Result<Inventory, NoInventory> {
        Err(NoInventory::Refused)
    }

    #[test]
    fn an_error_between_two_lists_changes_nothing() {
        let mut pinned = Pinned::new(Some(list("a").hash()));
        let now = Instant::now();
        pinned.sees(Ok(list("a")), now);
        pinned.sees(error(), now);
        assert!(pinned.bears(true, now), "its tools were the pinned ones");
        assert!(!pinned.bears(false, now), "of another process");
        assert_eq!((pinned.pin(now), pinned.drift()), (Pin::Ok, None));
        pinned.sees(Ok(list("a")), now);
        assert_eq!((pinned.pin(now), pinned.drift()), (Pin::Ok, None));
    }

    #[test]
    fn errors_without_end_are_borne_for_a_while_and_are_no_drift() {
        let mut pinned = Pinned::new(Some(list("a").hash()));
        let now = Instant::now();
        pinned.sees(Ok(list("a")), now);
        pinned.sees(error(), now);
        let soon = now + UNLISTED / 2;
        pinned.sees(error(), soon);
        assert!(pinned.bears(true, soon));
        let late = now + UNLISTED;
        pinned.sees(error(), late);
        assert!(!pinned.bears(true, late), "not since the last of them");
        assert_eq!((pinned.pin(late), pinned.drift()), (Pin::Unknown, None));
        pinned.sees(Ok(list("a")), late);
        assert!(pinned.bears(true, late) && pinned.pin(late) == Pin::Ok);
    }

    #[test]
    fn before_the_first_list_an_error_is_not_borne() {
        let mut pinned = Pinned::new(Some(list("a").hash()));
        let now = Instant::now();
        pinned.sees(error(), now);
        assert!(!pinned.bears(false, now));
        assert_eq!((pinned.pin(now), pinned.drift()), (Pin::Unknown, None));
        let mut any = Pinned::new(None);
        any.sees(error(), now);
        assert!(any.bears(false, now), "nobody has said which tools");
    }

    #[test]
    fn an_error_hides_no_drift() {
        let mut pinned = Pinned::new(Some(list("a").hash()));
        let now = Instant::now();
        pinned.sees(Ok(list("a")), now);
        pinned.sees(error(), now);
        pinned.sees(Ok(list("b")), now);
        pinned.sees(error(), now);
        pinned.sees(Ok(list("a")), now);
        let drift = Some("b is new; a is gone");
        assert_eq!((pinned.pin(now), pinned.drift()), (Pin::Drift, drift));
    }
}
