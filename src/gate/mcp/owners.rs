//! Whose the sessions are that a server of its own holds; pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guests::Guest;
use crate::gate::callers::Pass;

/// Longest name of one in bytes.
const MAX_NAME: usize = 256;

/// While somebody has this, a request of the session or a stream of it is open.
pub type InUse = Arc<()>;

/// All of them.
#[derive(Debug)]
pub struct Owners {
    most: usize,
    idle: Duration,
    by_session: HashMap<String, Owner>,
    /// Those that gave way and of which the server does not know it yet.
    spared: Vec<String>,
}

#[derive(Debug)]
struct Owner {
    guest: Guest,
    /// When it was used last.
    used: Instant,
    in_use: InUse,
}

impl Owner {
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.in_use) > 1
    }
}

impl Owners {
    /// Of at most so many sessions, each over when it was not used for `idle`.
    #[must_use]
    pub fn new(most: usize, idle: Duration) -> Self {
        Self {
            most,
            idle,
            by_session: HashMap::new(),
            spared: Vec::new(),
        }
    }

    /// A session that has just begun is this caller's; false where it is somebody else's already, or has too long a name.
    /// Where `has_others`, the caller leaves half of all to them.
    #[must_use]
    pub fn begins(&mut self, session: &str, guest: &Guest, has_others: bool, now: Instant) -> bool {
        if self.by_session.contains_key(session) {
            return self.uses(session, guest, now).is_some();
        }
        if session.len() > MAX_NAME {
            return false;
        }
        if let Some(spare) = self.spare(&guest.identity, has_others) {
            self.forget(&spare);
            // A server that hears nothing could be given more and more of them.
            if self.spared.len() < self.most {
                self.spared.push(spare);
            }
        }
        let owner = Owner {
            guest: guest.clone(),
            used: now,
            in_use: InUse::default(),
        };
        self.by_session.insert(session.to_owned(), owner);
        true
    }

    /// One is over.
    pub fn forget(&mut self, session: &str) {
        self.by_session.remove(session);
    }

    /// All are over whose callers showed this last, and those that nobody uses; which ones, with those that gave way.
    #[must_use]
    pub fn end(&mut self, these: impl Fn(&Pass) -> bool, now: Instant) -> Vec<String> {
        let mut all = std::mem::take(&mut self.spared);
        let idle = self.idle;
        let over = self.by_session.extract_if(|_, one| {
            if one.is_in_use() {
                one.used = now;
            }
            these(&one.guest.pass) || now.saturating_duration_since(one.used) > idle
        });
        all.extend(over.map(|(session, _)| session));
        all
    }

    /// The caller uses it now; `None` where it is not the caller's, or nobody knows it.
    pub fn uses(&mut self, session: &str, guest: &Guest, now: Instant) -> Option<InUse> {
        let owner = self.by_session.get_mut(session);
        let owner = owner.filter(|owner| owner.guest.identity == guest.identity)?;
        owner.used = now;
        owner.guest.pass = guest.pass.clone();
        Some(Arc::clone(&owner.in_use))
    }

    /// Which one is forgotten where one more begins: the one that was unused for longest, of this caller where it has half
    /// of them and there can be others, and otherwise of whoever has most. One that is in use only where all of them are.
    fn spare(&self, caller: &str, has_others: bool) -> Option<String> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for owner in self.by_session.values() {
            *counts.entry(&owner.guest.identity).or_default() += 1;
        }
        let of_caller = counts.get(caller).copied().unwrap_or_default();
        let whose = if has_others && of_caller >= self.most.div_ceil(2) {
            caller
        } else if self.by_session.len() < self.most {
            return None;
        } else {
            // Of two with as many it is the caller itself.
            let most = |(name, count): &(&str, usize)| (*count, *name == caller);
            counts.into_iter().max_by_key(most)?.0
        };
        let of_them = (self.by_session.iter()).filter(|(_, one)| one.guest.identity == whose);
        let oldest = of_them.min_by_key(|(_, one)| (one.is_in_use(), one.used))?;
        Some(oldest.0.clone())
    }
}

#[cfg(test)]
#[path = "owners_tests.rs"]
mod tests;
