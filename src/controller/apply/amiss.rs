//! What of a child is not as it is wanted, each thing by itself, so that what somebody changes is seen beside what lasts;
//! pure.

use std::cmp::Reverse;
use std::collections::HashSet;

use serde_json::Value;

use super::Compare;
use super::template::{Foreign, Harm, foreign, lacking};
use crate::controller::difference;
use crate::controller::names::short_hash;

/// One thing of a child that is not as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amiss {
    pub(super) found: Foreign,
    /// Of where it is and what is there: the values themselves are not kept.
    mark: String,
}

impl Amiss {
    fn lacks(path: &str, now: &Value) -> Self {
        let mark = short_hash([path, now.to_string().as_str()], 32);
        let found = lacking(path);
        Self { found, mark }
    }
}

/// All of a child that is not as it is wanted, the worst first.
pub(super) fn amiss(body: &Value, there: &Value, compare: Compare) -> Vec<Amiss> {
    let lacks = difference::all(body, there).into_iter();
    let mut all: Vec<Amiss> = lacks.map(|(path, now)| Amiss::lacks(&path, now)).collect();
    let spec = &there["spec"];
    if compare == Compare::WholeSpec && !difference::identical(&body["spec"], spec) {
        all.push(Amiss::lacks(".spec", spec));
    }
    all.extend(foreign(body, there).into_iter().map(|(found, now)| {
        let mark = short_hash([found.what.as_str(), now.as_str()], 32);
        Amiss { found, mark }
    }));
    all.sort_by_key(|one| Reverse(one.found.harm));
    all
}

/// What is left after the template was put in its place. That write names nothing else, so whatever else was not so when
/// `applied` was answered, somebody has changed since: it is for the next time.
pub(super) fn left(applied: &[Amiss], mut now: Vec<Amiss>) -> Vec<Amiss> {
    let before = Lasting::of(applied);
    now.retain(|one| one.found.harm != Harm::Lacks || before.has(one));
    now
}

/// What the answer to a write had that is not wanted: while it is there unchanged, another write of the same would leave
/// it so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lasting(HashSet<String>);

impl Lasting {
    /// Of what the answer had. What makes pods unlike what is wanted is no state to leave a child in.
    pub(super) fn of(left: &[Amiss]) -> Self {
        let lasts = left.iter().filter(|one| one.found.harm != Harm::Unlike);
        Self(lasts.map(|one| one.mark.clone()).collect())
    }

    /// Whether everything was as wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether that is there unchanged.
    pub(super) fn has(&self, one: &Amiss) -> bool {
        self.0.contains(&one.mark)
    }

    /// What is not as wanted besides.
    pub(super) fn besides(&self, mut all: Vec<Amiss>) -> Vec<Amiss> {
        all.retain(|one| !self.has(one));
        all
    }
}

/// The worst of what was tried and does not last, and whether what makes other pods is there again with the answer. What a
/// write leaves as it was is nobody's contest, whoever it is of.
pub(super) fn taken_back(tried: Vec<Amiss>, left: &[Amiss]) -> Option<(Foreign, bool)> {
    let taken = Lasting::of(left).besides(tried).into_iter();
    let worst = taken.min_by_key(|one| Reverse(one.found.harm))?;
    let remains = left.iter().any(|one| one.found.harm == Harm::Unlike);
    Some((worst.found, remains))
}

#[cfg(test)]
#[path = "amiss_tests.rs"]
mod tests;
