//! The resources of which one child of the older era is to tell, and how many want to hear of each: pure.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::subscribed::TooMany;

/// Most of one child.
const MAX: usize = 1024;
/// Most who want to hear of any of them, counted for each: the gate keeps a task for each of a session's.
const MAX_WANTED: usize = 4096;
/// Most of one caller without a session, in all its requests together.
const MAX_OF_CALLER: usize = 512;
/// Most bytes of their names.
const MAX_BYTES_OF_CALLER: usize = 64 * 1024;

/// Whether a child tells of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tells {
    /// It was not asked, it refused, or it was asked to stop.
    #[default]
    No,
    /// It was asked, and has not answered.
    Perhaps,
    /// It said so.
    Yes,
}

/// Locked by whoever speaks with the child about one resource, so that one does at a time.
pub type Turn = Arc<Mutex<Tells>>;

/// All of one child.
#[derive(Debug, Default)]
pub struct Interests {
    by_uri: HashMap<Arc<str>, Entry>,
    of_callers: HashMap<Arc<str>, Taken>,
    wanted: usize,
}

#[derive(Debug, Default)]
struct Entry {
    wanted: usize,
    turn: Turn,
}

/// What one caller takes.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    number: usize,
    bytes: usize,
}

impl Interests {
    /// One more wants to hear of it. A caller is counted; sessions have bounds of their own.
    ///
    /// # Errors
    /// [`TooMany`]; nothing has changed.
    pub fn want(&mut self, caller: Option<&Arc<str>>, uri: &Arc<str>) -> Result<Turn, TooMany> {
        let one_more = self.by_uri.len() < MAX || self.by_uri.contains_key(uri);
        if !one_more || self.wanted >= MAX_WANTED {
            return Err(TooMany);
        }
        if let Some(caller) = caller {
            let mut taken = self.of_callers.get(caller).copied().unwrap_or_default();
            taken.number += 1;
            taken.bytes += uri.len();
            if taken.number > MAX_OF_CALLER || taken.bytes > MAX_BYTES_OF_CALLER {
                return Err(TooMany);
            }
            self.of_callers.insert(Arc::clone(caller), taken);
        }
        let entry = self.by_uri.entry(Arc::clone(uri)).or_default();
        entry.wanted += 1;
        self.wanted += 1;
        Ok(Arc::clone(&entry.turn))
    }

    /// One of them no longer does. Where it was the last one, the turn to tell the child so.
    pub fn leave(&mut self, caller: Option<&Arc<str>>, uri: &str) -> Option<Turn> {
        if let Some(caller) = caller
            && let Some(taken) = self.of_callers.get_mut(caller)
        {
            taken.number = taken.number.saturating_sub(1);
            taken.bytes = taken.bytes.saturating_sub(uri.len());
            if taken.number == 0 {
                self.of_callers.remove(caller);
            }
        }
        let entry = self.by_uri.get_mut(uri)?;
        entry.wanted = entry.wanted.saturating_sub(1);
        self.wanted = self.wanted.saturating_sub(1);
        (entry.wanted == 0).then(|| Arc::clone(&entry.turn))
    }

    /// The child does not tell of it any more. What is wanted again stays.
    pub fn forget(&mut self, uri: &str) {
        if !self.is_wanted(uri) {
            self.by_uri.remove(uri);
        }
    }

    /// Whether anybody wants to hear of it.
    #[must_use]
    pub fn is_wanted(&self, uri: &str) -> bool {
        self.by_uri.get(uri).is_some_and(|entry| entry.wanted > 0)
    }

    /// Whether there is none, not even one of which the child may still tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_uri.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn the_last_one_who_leaves_is_told_so() {
        let mut all = Interests::default();
        let (ada, a) = (uri("ada"), uri("a"));
        let first = all.want(Some(&ada), &a).unwrap();
        let second = all.want(None, &a).unwrap();
        assert!(Arc::ptr_eq(&first, &second), "one speaks at a time");
        assert!(all.leave(Some(&ada), "a").is_none());
        all.forget("a");
        assert!(all.is_wanted("a"));
        let last = all.leave(None, "a").unwrap();
        assert!(Arc::ptr_eq(&first, &last));
        assert!(!all.is_wanted("a") && !all.is_empty(), "it may still tell");
        all.forget("a");
        assert!(all.is_empty());
        assert!(all.leave(None, "a").is_none(), "there is nothing to leave");
        assert!(all.of_callers.is_empty());
    }

    #[test]
    fn what_is_wanted_again_meanwhile_stays() {
        let mut all = Interests::default();
        let a = uri("a");
        all.want(None, &a).unwrap();
        let last = all.leave(None, "a").unwrap();
        let again = all.want(None, &a).unwrap();
        assert!(Arc::ptr_eq(&last, &again), "after whoever has the turn");
        all.forget("a");
        assert!(all.is_wanted("a"));
    }

    #[rstest::rstest]
    #[case::of_one_caller(true, 8, MAX_OF_CALLER)]
    #[case::with_long_names(true, 1024, MAX_BYTES_OF_CALLER / 1024)]
    #[case::of_sessions(false, 8, MAX)]
    fn they_are_bounded(#[case] counted: bool, #[case] length: usize, #[case] most: usize) {
        let mut all = Interests::default();
        let ada = uri("ada");
        let caller = counted.then_some(&ada);
        let name = |number: usize| uri(&format!("{number:0length$}"));
        for number in 0..most {
            assert!(all.want(caller, &name(number)).is_ok(), "{number}");
        }
        assert_eq!(all.want(caller, &name(most)).err(), Some(TooMany));
        // Another caller is none of its business, where the child has room.
        let other = all.want(Some(&uri("bob")), &name(most));
        assert_eq!(other.is_ok(), counted);
        // What one has left another one may have.
        all.leave(caller, &name(0));
        all.forget(&name(0));
        assert!(all.want(caller, &name(most + 1)).is_ok());
    }

    /// Each counts: each is a stream to which the gate writes.
    #[rstest::rstest]
    #[case::of_one_caller(true, MAX_OF_CALLER)]
    #[case::of_sessions(false, MAX_WANTED)]
    fn who_want_one_resource_again_and_again_have_a_bound_too(
        #[case] counted: bool,
        #[case] most: usize,
    ) {
        let mut all = Interests::default();
        let (ada, a) = (uri("ada"), uri("a"));
        let caller = counted.then_some(&ada);
        let there = (0..=MAX_WANTED).take_while(|_| all.want(caller, &a).is_ok());
        assert_eq!(there.count(), most);
        all.leave(caller, "a");
        assert!(all.want(caller, &a).is_ok());
    }
}
