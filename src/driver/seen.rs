//! When each canary is asked what it saw: pure.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::view::Canary;

/// Time between two looks at what canaries saw when no round is under way: gates probe by themselves too.
const IDLE: Duration = Duration::from_secs(2);
/// How long it is known of a canary that is not ready how far its list was read, for what it heard before must convict
/// nobody twice, and what was in doubt about it.
const AWAY: Duration = Duration::from_secs(600);

/// How far each canary's list was read, and who is to be asked next.
#[derive(Debug, Default)]
pub struct Seen {
    since: HashMap<String, Read>,
    asking: HashSet<String>,
    /// Who has not been asked since a round ended.
    wanted: HashSet<String>,
    /// Asked in the first look of all and not heard yet: what they forgot before was no nonce of this operator's.
    first: HashSet<String>,
    /// Canaries that forgot nonces, and when they last said so.
    lost: HashMap<String, Instant>,
    /// Canaries that did not answer when they were last asked, and when that was known.
    silent: HashMap<String, Instant>,
    asked: Option<Instant>,
}

/// The next entry of a canary's list, and when it was said.
#[derive(Clone, Copy, Debug)]
struct Read {
    next: u64,
    at: Instant,
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
        let first = self.asked.is_none();
        if idle {
            self.asked = Some(now);
            self.round_ended(canaries);
            let here = &self.wanted;
            let known = |uid: &String, at: Instant| {
                here.contains(uid) || now.saturating_duration_since(at) < AWAY
            };
            self.since.retain(|uid, read| known(uid, read.at));
            self.lost.retain(|uid, at| known(uid, *at));
            self.silent.retain(|uid, at| known(uid, *at));
        }
        if first {
            self.first.clone_from(&self.wanted);
        }
        let mut due = Vec::new();
        for canary in canaries {
            if self.asking.contains(&canary.uid) || !self.wanted.remove(&canary.uid) {
                continue;
            }
            self.asking.insert(canary.uid.clone());
            let since = self.since.get(&canary.uid).map_or(0, |read| read.next);
            due.push((canary.clone(), since));
        }
        due
    }

    /// A canary answered, or did not: then it is asked from the same entry again.
    pub fn answered(&mut self, uid: &str, read: Option<(u64, bool)>, now: Instant) {
        self.asking.remove(uid);
        let first = self.first.remove(uid);
        let Some((next, lost)) = read else {
            self.silent.insert(uid.to_owned(), now);
            return;
        };
        self.silent.remove(uid);
        self.since.insert(uid.to_owned(), Read { next, at: now });
        if lost && !first {
            self.lost.insert(uid.to_owned(), now);
        }
    }

    /// Why nothing follows now from what a canary did not say, so that it is no control; `None` where something does.
    ///
    /// Whose nonces it forgot nobody knows, so that holds for one period, in which every pod has a round.
    #[must_use]
    pub fn doubt(&self, uid: &str, period: Duration, now: Instant) -> Option<&'static str> {
        if self.silent.contains_key(uid) {
            return Some("it could not be asked which nonces it heard");
        }
        let lost = self.lost.get(uid)?;
        (now.saturating_duration_since(*lost) < period)
            .then_some("it heard more nonces than it can remember")
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
            seen.answered(uid, Some((1, false)), now);
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
        seen.answered("a", Some((7, false)), now);
        let due = seen.due(&canaries, now);
        assert_eq!(
            due.iter()
                .map(|(canary, since)| (canary.uid.as_str(), *since))
                .collect::<Vec<_>>(),
            [("a", 7)]
        );
    }

    #[test]
    fn what_a_canary_heard_is_read_once_although_it_was_not_ready_for_a_while() {
        let (canaries, now) = (canaries(), Instant::now());
        let mut seen = Seen::default();
        seen.due(&canaries, now);
        for uid in ["a", "b"] {
            seen.answered(uid, Some((7, false)), now);
        }
        seen.due(&canaries[1..], now + IDLE);
        let from = |seen: &mut Seen, now| {
            let due = seen.due(&canaries, now);
            due.iter()
                .find(|(canary, _)| canary.uid == "a")
                .map(|(_, since)| *since)
        };
        assert_eq!(from(&mut seen, now + IDLE * 2), Some(7));
        seen.answered("a", Some((9, false)), now + IDLE * 2);
        seen.due(&canaries[1..], now + AWAY * 2);
        assert_eq!(
            from(&mut seen, now + AWAY * 2 + IDLE),
            Some(0),
            "it is gone"
        );
    }

    const PERIOD: Duration = Duration::from_secs(30);

    #[test]
    fn what_a_canary_forgot_counts_for_a_period_however_often_it_is_asked_for() {
        let (canaries, now) = (canaries(), Instant::now());
        let mut seen = Seen::default();
        seen.due(&canaries, now);
        for uid in ["a", "b"] {
            seen.answered(uid, Some((7, true)), now);
            let doubt = seen.doubt(uid, PERIOD, now);
            assert_eq!(doubt, None, "no nonce was sent before");
        }
        seen.answered("a", Some((9, true)), now);
        for after in [Duration::ZERO, PERIOD / 2] {
            let doubt = seen.doubt("a", PERIOD, now + after);
            assert!(doubt.is_some_and(|why| why.contains("more nonces")));
        }
        assert_eq!(seen.doubt("b", PERIOD, now), None);
        assert_eq!(seen.doubt("a", PERIOD, now + PERIOD), None);
    }

    #[test]
    fn a_canary_that_does_not_answer_is_in_doubt_until_it_does() {
        let (canaries, now) = (canaries(), Instant::now());
        let mut seen = Seen::default();
        seen.due(&canaries, now);
        for uid in ["a", "b"] {
            seen.answered(uid, None, now);
            let doubt = seen.doubt(uid, PERIOD, now + PERIOD);
            assert!(doubt.is_some_and(|why| why.contains("could not be asked")));
        }
        // Rounds began meanwhile, so what was forgotten may have been theirs.
        seen.answered("a", Some((7, true)), now);
        seen.answered("b", Some((7, false)), now);
        assert!(seen.doubt("a", PERIOD, now).is_some());
        assert_eq!(seen.doubt("b", PERIOD, now), None);
        // And nothing is kept of those who are gone.
        seen.answered("b", None, now);
        seen.due(&[], now + AWAY);
        assert!(seen.since.is_empty() && seen.lost.is_empty() && seen.silent.is_empty());
    }

    #[test]
    fn a_canary_in_doubt_is_no_better_for_having_been_away() {
        let (canaries, now) = (canaries(), Instant::now());
        let mut seen = Seen::default();
        seen.due(&canaries, now);
        for (uid, read) in [("a", Some((7, false))), ("a", Some((9, true))), ("b", None)] {
            seen.answered(uid, read, now);
        }
        seen.due(&[], now + IDLE);
        let back = now + IDLE + Duration::from_secs(1);
        seen.due(&canaries, back);
        for (uid, doubt) in [("a", "more nonces"), ("b", "could not be asked")] {
            let why = seen.doubt(uid, PERIOD, back);
            assert!(why.is_some_and(|why| why.contains(doubt)), "{uid}: {why:?}");
        }
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
            seen.answered(&uid, None, now);
        }
        assert!(seen.due(&canaries, now + IDLE / 2).is_empty());
        assert_eq!(seen.due(&canaries, now + IDLE).len(), 2);
    }
}
