//! Whose the sessions are that a server of its own holds; pure.

use std::collections::HashMap;

use super::guests::Guest;
use crate::gate::callers::Pass;

/// Longest name of one in bytes.
const MAX_NAME: usize = 256;

/// All of them.
#[derive(Debug)]
pub struct Owners {
    most: usize,
    by_session: HashMap<String, Owner>,
    /// Counts the uses.
    uses: u64,
}

#[derive(Debug)]
struct Owner {
    guest: Guest,
    /// Which use of all was its last.
    used: u64,
}

impl Owners {
    /// Of at most so many sessions.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            by_session: HashMap::new(),
            uses: 0,
        }
    }

    /// A session that has just begun is this caller's; false where it is somebody else's already, or has too long a name.
    /// Where `has_others`, the caller leaves half of all to them.
    #[must_use]
    pub fn begins(&mut self, session: &str, guest: &Guest, has_others: bool) -> bool {
        if let Some(own) = self.uses(session, guest) {
            return own;
        }
        if session.len() > MAX_NAME {
            return false;
        }
        if let Some(spare) = self.spare(&guest.identity, has_others) {
            self.forget(&spare);
        }
        let owner = Owner {
            guest: guest.clone(),
            used: self.uses,
        };
        self.by_session.insert(session.to_owned(), owner);
        true
    }

    /// One is over.
    pub fn forget(&mut self, session: &str) {
        self.by_session.remove(session);
    }

    /// All are over whose callers showed this last; which ones.
    #[must_use]
    pub fn end(&mut self, these: impl Fn(&Pass) -> bool) -> Vec<String> {
        let over = self.by_session.extract_if(|_, one| these(&one.guest.pass));
        over.map(|(session, _)| session).collect()
    }

    /// Whether it is the caller's, who uses it now; `None` where nobody knows it.
    pub fn uses(&mut self, session: &str, guest: &Guest) -> Option<bool> {
        self.uses += 1;
        let owner = self.by_session.get_mut(session)?;
        let own = owner.guest.identity == guest.identity;
        if own {
            owner.used = self.uses;
            owner.guest.pass = guest.pass.clone();
        }
        Some(own)
    }

    /// Which one is forgotten where one more begins: the one that was unused for longest, of this caller where it has half
    /// of them and there can be others, and otherwise of whoever has most.
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
        let oldest = of_them.min_by_key(|(_, one)| one.used)?;
        Some(oldest.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 8;

    fn guest(name: &str) -> Guest {
        Guest {
            identity: name.to_owned(),
            pass: Pass::Anyone,
        }
    }

    fn is_owner(all: &mut Owners, session: &str, guest: &Guest) -> bool {
        all.uses(session, guest) == Some(true)
    }

    #[test]
    fn a_session_stays_with_whoever_began_it() {
        let (mut all, ada, bob) = (Owners::new(MOST), guest("ada"), guest("bob"));
        assert!(all.begins("s", &ada, true) && all.begins("s", &ada, true));
        assert!(!all.begins("s", &bob, true));
        assert!(is_owner(&mut all, "s", &ada) && !is_owner(&mut all, "s", &bob));
        assert!(!all.begins(&"x".repeat(MAX_NAME + 1), &ada, true));
    }

    #[test]
    fn one_caller_forgets_its_own_sessions_and_not_those_of_others() {
        let mut all = Owners::new(MOST);
        let (ada, bob, cyd) = (guest("ada"), guest("bob"), guest("cyd"));
        assert!(all.begins("s", &ada, true));
        for number in 0..MOST {
            assert!(all.begins(&number.to_string(), &bob, true));
        }
        assert!(is_owner(&mut all, "s", &ada), "it is not bob's");
        let of_bob = |all: &mut Owners, number: usize| is_owner(all, &number.to_string(), &bob);
        let half = MOST / 2;
        assert!(!of_bob(&mut all, half - 1) && of_bob(&mut all, half));
        // Of bob's, that one was used last now.
        for number in 0..half {
            assert!(all.begins(&format!("c{number}"), &cyd, true));
        }
        assert!(is_owner(&mut all, "s", &ada), "others have more");
        assert!(of_bob(&mut all, half) && !of_bob(&mut all, half + 1));
    }

    #[test]
    fn where_nobody_is_asked_who_they_are_the_oldest_is_forgotten() {
        let (mut all, anyone) = (Owners::new(MOST), guest("anyone"));
        for number in 0..=MOST {
            assert!(all.begins(&number.to_string(), &anyone, false));
        }
        assert!(!is_owner(&mut all, "0", &anyone) && is_owner(&mut all, "1", &anyone));
    }

    #[test]
    fn sessions_end_with_what_their_callers_showed_last() {
        let mut all = Owners::new(MOST);
        assert!(all.begins("s", &guest("ada"), true));
        assert!(all.end(|_| false).is_empty());
        assert_eq!(all.end(|pass| *pass == Pass::Anyone), ["s"]);
        assert_eq!(all.uses("s", &guest("ada")), None);
    }
}
