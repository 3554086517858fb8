//! Children that somebody else changes again and again: how often they are taken back, and what is told; pure.

use std::collections::HashMap;
use std::time::Instant;

use super::Ack;
use super::template::{Foreign, Harm};
use crate::driver::again::Again;

/// What somebody has to do about it.
const CURE: &str =
    "have whoever it is leave out objects with the label app.kubernetes.io/managed-by: sealroom";

/// What was taken back a while ago, by child. What has held for long is forgotten, so there are never more than objects.
#[derive(Debug, Default)]
pub(super) struct Contests(HashMap<String, Contest>);

#[derive(Debug)]
struct Contest {
    /// Of what was wanted then: something else is written at once.
    hash: String,
    child: String,
    by: String,
    again: Again,
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
    /// What to answer instead of a write: nothing when one may be made. `found` is what is not as wanted now.
    pub(super) fn turn(
        &mut self,
        key: &str,
        hash: &str,
        found: Option<&Foreign>,
        now: Instant,
    ) -> Option<Ack> {
        let contest = self.0.get_mut(key).filter(|contest| contest.hash == hash)?;
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
        self.0
            .retain(|of, contest| of != key || contest.hash == hash);
    }

    /// Counts a child that was taken back; what is to be told of it, if it was not the first time.
    pub(super) fn took(
        &mut self,
        key: &str,
        hash: &str,
        taken: Taken<'_>,
        now: Instant,
    ) -> Option<Told> {
        self.0.retain(|_, contest| !contest.again.rested(now));
        self.written(key, hash);
        let before = self.0.remove(key);
        let mut contest = Contest {
            hash: hash.to_owned(),
            child: taken.child.to_owned(),
            by: taken.by.to_owned(),
            again: before.map(|before| before.again).unwrap_or_default(),
            told: None,
        };
        contest.again.done(now);
        if taken.remains || contest.again.times() > 1 {
            contest.told = Some(contest.words(taken.found));
        }
        let told = contest.told.clone();
        self.0.insert(key.to_owned(), contest);
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
        let times = match self.again.times() {
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
