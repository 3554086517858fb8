//! Children that somebody else changes again and again: how often they are taken back, and what is told; pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Ack;
use super::amiss::Amiss;
use super::template::{Foreign, Harm};
use crate::driver::again::Again;

/// What somebody has to do about it.
const CURE: &str =
    "have whoever it is leave out objects with the label app.kubernetes.io/managed-by: sealroom";

/// What was written a while ago because of others. What has held for long is forgotten.
#[derive(Debug, Default)]
pub(super) struct Contests {
    /// What was taken back, by child: there are never more than objects.
    taken: HashMap<String, Contest>,
    /// What a write left as it was, by child and field.
    vain: HashMap<(String, String), Again>,
}

#[derive(Debug)]
struct Contest {
    /// Of what was wanted then: something else is written at once.
    hash: String,
    child: String,
    by: String,
    /// How often that child was taken back, whatever for: the pace.
    again: Again,
    /// What the last time was for, and how often in a row it was for that.
    harm: Harm,
    times: u32,
    /// Nothing while it happened once and is mended.
    told: Option<Told>,
}

/// What is told of a child that was changed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// For people, at most 1,024 characters. Stays the same until the next time.
    pub(super) message: String,
    /// What follows from it.
    pub(super) harm: Harm,
}

/// A child was taken back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken<'a> {
    /// Kind and name of the child.
    pub(super) child: &'a str,
    /// Who had changed it, in words.
    pub(super) by: &'a str,
    /// What was in it.
    pub(super) found: &'a Foreign,
    /// Whether it was there again when the write was answered.
    pub(super) remains: bool,
}

impl Contests {
    /// What to answer instead of a write: nothing when one may be made. `found` is what is not as wanted now, beside what
    /// lasts.
    pub(super) fn turn(
        &mut self,
        key: &str,
        hash: &str,
        found: Option<&Foreign>,
        now: Instant,
    ) -> Option<Ack> {
        let contest = self.taken.get_mut(key);
        let contest = contest.filter(|contest| contest.hash == hash)?;
        let after = contest.again.left(now)?;
        if let Some(found) = found {
            let told = contest.told.as_ref();
            // It came back before its time, or became worse.
            if told.is_none_or(|told| found.harm > told.harm) {
                contest.told = Some(contest.words(found));
            }
        }
        let told = contest.told.as_ref()?;
        if told.harm == Harm::Asks {
            return found.map(|_| Ack::Later(after));
        }
        // What is told stays so until the next time, so that a condition does not come and go with each write.
        let message = told.message.clone();
        Some(Ack::Contested { message, after })
    }

    /// The child was written as that. What was undone while something else was wanted is forgotten: should that be wanted
    /// again, nobody has changed it since.
    pub(super) fn written(&mut self, key: &str, hash: &str) {
        self.taken
            .retain(|of, contest| of != key || contest.hash == hash);
    }

    /// A write left that as it was. It always waits as after the first time: should something come into that field which a
    /// write mends, nobody is told of it meanwhile.
    pub(super) fn in_vain(&mut self, key: &str, what: &str, now: Instant) {
        self.vain.retain(|_, again| again.left(now).is_some());
        let mut again = Again::default();
        again.done(now);
        self.vain.insert((key.to_owned(), what.to_owned()), again);
    }

    /// Takes out of `found` the fields that a write left as they were a moment ago, so that who changes one again and again
    /// causes no write each time; how long they wait.
    pub(super) fn put_off(
        &self,
        key: &str,
        found: &mut Vec<Amiss>,
        now: Instant,
    ) -> Option<Duration> {
        let mut wait = None;
        found.retain(|one| {
            let again = self.vain.get(&(key.to_owned(), one.found.what.clone()));
            let left = again.and_then(|again| again.left(now));
            wait = wait.max(left);
            left.is_none()
        });
        wait
    }

    /// Counts a child that was taken back; what is to be told of it, if it was not the first time.
    pub(super) fn took(
        &mut self,
        key: &str,
        hash: &str,
        taken: Taken<'_>,
        now: Instant,
    ) -> Option<Told> {
        self.taken.retain(|_, contest| !contest.again.rested(now));
        self.written(key, hash);
        let harm = taken.found.harm;
        let before = self.taken.remove(key);
        let same = before.as_ref().filter(|before| before.harm == harm);
        let mut contest = Contest {
            hash: hash.to_owned(),
            child: taken.child.to_owned(),
            by: taken.by.to_owned(),
            harm,
            times: same.map_or(1, |before| before.times.saturating_add(1)),
            again: before.map(|before| before.again).unwrap_or_default(),
            told: None,
        };
        contest.again.done(now);
        if taken.remains || contest.times > 1 {
            contest.told = Some(contest.words(taken.found));
        }
        let told = contest.told.clone();
        self.taken.insert(key.to_owned(), contest);
        told
    }
}

impl Contest {
    fn words(&self, found: &Foreign) -> Told {
        let Foreign { what, harm } = found;
        let (by, child) = (&self.by, &self.child);
        let (template, meaning) = match harm {
            Harm::Unlike => (
                "the pod template of ",
                "; pods that are made of it are never proven",
            ),
            Harm::Asks => ("the pod template of ", ""),
            Harm::Lacks => ("", ""),
        };
        let times = match self.times {
            1 => "once".to_owned(),
            times => format!("{times} times in a row"),
        };
        let wait = self.again.wait().as_secs();
        let message = format!(
            "{by} changes {template}{child} ({what}){meaning}. It was taken back {times}, the next time is {wait} s later: {CURE}"
        );
        Told {
            message: message.chars().take(1_024).collect(),
            harm: *harm,
        }
    }
}

#[cfg(test)]
#[path = "contest_tests.rs"]
mod tests;
