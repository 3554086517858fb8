//! When each canary is asked what it saw: pure.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::view::Canary;

/// Time between two looks at what canaries saw when no round is under way: gates probe by themselves too.
const IDLE: Duration = Duration::from_secs(2);

/// How far each canary's list was read, and who is to be asked next.
#[derive(Debug, Default)]
pub struct Seen {
    since: HashMap<String, u64>,
    asking: HashSet<String>,
    /// Who has not been asked since a round ended.
    wanted: HashSet<String>,
    /// Canaries that forgot nonces: the next round does not count on them.
    lost: HashSet<String>,
    asked: Option<Instant>,
}

impl Seen {
    /// A round ended: every canary may have seen its nonce.
    pub fn round_ended(&mut self, canaries: &[Canary]) {
        self.wanted = canaries.iter().map(|canary| canary.uid.clone()).collect();
    }

    /// Whom to ask now, and from which entry on. Nobody is asked twice at once: who is still being asked
    /// stays wanted until the answer is there.
    pub fn due(&mut self, canaries: &[Canary], now: Instant) -> Vec<(Canary, u64)> {
        let idle = self
            .asked
            .is_none_or(|asked| now.duration_since(asked) >= IDLE);
        if idle {
            self.asked = Some(now);
            self.round_ended(canaries);
            self.since.retain(|uid, _| self.wanted.contains(uid));
        }
        let mut due = Vec::new();
        for canary in canaries {
            if self.asking.contains(&canary.uid) || !self.wanted.remove(&canary.uid) {
                continue;
            }
            self.asking.insert(canary.uid.clone());
            let since = self.since.get(&canary.uid).copied().unwrap_or(0);
            due.push((canary.clone(), since));
        }
        due
    }

    /// A canary answered, or did not: then it is asked from the same entry again.
    pub fn answered(&mut self, uid: &str, read: Option<(u64, bool)>) {
        self.asking.remove(uid);
        if let Some((next, lost)) = read {
            self.since.insert(uid.to_owned(), next);
            if lost {
                self.lost.insert(uid.to_owned());
            }
        }
    }

    /// The canaries that forgot nonces since the last call.
    pub fn take_lost(&mut self) -> HashSet<String> {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canaries() -> Vec<Canary> {
        ["a", "b"]
            .map(|uid| Canary {
                uid: uid.to_owned(),
                pod: crate::policy::Pod::default(),
                node: String::new(),
                ready: true,
            })
            .to_vec()
    }

    #[test]
    fn canaries_under_way_do_not_keep_each_other_asked() {
        let (canaries, now) = (canaries(), Instant::now());
        let mut seen = Seen::default();
        assert_eq!(seen.due(&canaries, now).len(), 2);
        for uid in ["a", "b", "a", "b"] {
            seen.answered(uid, Some((1, false)));
            assert!(
                seen.due(&canaries, now).is_empty(),
                "{uid} is asked without a reason"
            );
        }
    }

    #[test]
    fn a_round_that_ends_meanwhile_is_asked_about_after_the_answer() {
        let (canaries, now) = (canaries(), Instant::now());
        let mut seen = Seen::default();
        seen.due(&canaries, now);
        seen.round_ended(&canaries);
        assert!(seen.due(&canaries, now).is_empty());
        seen.answered("a", Some((7, true)));
        let due = seen.due(&canaries, now);
        assert_eq!(
            due.iter()
                .map(|(canary, since)| (canary.uid.as_str(), *since))
                .collect::<Vec<_>>(),
            [("a", 7)]
        );
        assert_eq!(seen.take_lost(), HashSet::from(["a".to_owned()]));
    }

    #[test]
    fn without_rounds_they_are_asked_every_two_seconds() {
        let (canaries, now) = (canaries(), Instant::now());
        let mut seen = Seen::default();
        for (uid, _) in seen
            .due(&canaries, now)
            .iter()
            .map(|(canary, since)| (canary.uid.clone(), since))
        {
            seen.answered(&uid, None);
        }
        assert!(seen.due(&canaries, now + IDLE / 2).is_empty());
        assert_eq!(seen.due(&canaries, now + IDLE).len(), 2);
    }
}
