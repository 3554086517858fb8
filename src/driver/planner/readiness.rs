//! The readiness condition of a pod: one write at a time, and the store's word on what there is to write.

use std::time::{Duration, Instant};

use crate::driver::view::{Condition, PodKind};

use super::track::Track;
use super::{Action, PodCondition, Sealed, Status};

/// How long the watch may take to show a write that was answered. After that the store's word counts again.
const ECHO: Duration = Duration::from_secs(10);
/// From a write that failed to the next, doubled by every further one.
const RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(30);

/// A write under way, or one that the watch has not shown yet.
#[derive(Debug)]
pub(super) struct Write {
    /// What the store said when it was sent.
    over: Option<Condition>,
    sent: Instant,
    answered: bool,
}

impl Write {
    /// Whether what the store says may still be what was before.
    fn counts(&self, seen: Option<&Condition>, now: Instant) -> bool {
        !self.answered || (self.over.as_ref() == seen && now < self.sent + ECHO)
    }
}

/// Writes of one pod that the API server refused or did not answer.
#[derive(Debug, Default)]
pub(super) struct Refused {
    times: u32,
    until: Option<Instant>,
}

impl Refused {
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    pub(super) fn again(&mut self, now: Instant) {
        let wait = RETRY.saturating_mul(1 << self.times.min(8)).min(MAX_RETRY);
        self.times = self.times.saturating_add(1);
        self.until = Some(now + wait);
    }
}

impl Track {
    /// The readiness condition, when it must change. Nothing is written before the gate was heard or an
    /// opening is known: an operator that has just started must not unready what runs.
    pub(super) fn condition(&mut self, sealed: &Sealed, now: Instant, actions: &mut Vec<Action>) {
        let shut = self.opening.is_some() || sealed.status == Status::False;
        let heard = self.report.as_ref().map(|report| report.sealed);
        if self.pod.kind == PodKind::Ungated || self.pod.terminating || !(shut || heard.is_some()) {
            return;
        }
        let seen = self.pod.condition.as_ref();
        let writing = self.write.as_ref();
        if self.refused.holds(now) || writing.is_some_and(|write| write.counts(seen, now)) {
            return;
        }
        let ready = !shut && heard == Some(true);
        let status = if ready { "True" } else { "False" };
        let unchanged = seen.filter(|seen| seen.status == status);
        // What a predecessor wrote stands while the gate holds to its proof and no round here has repeated it.
        let inherited = ready && self.last_proven.is_none() && self.proven();
        if unchanged.is_some_and(|seen| inherited || seen.reason == sealed.reason.as_str()) {
            return;
        }
        let (namespace, name, uid) = self.label();
        actions.push(Action::Condition(PodCondition {
            namespace,
            name,
            uid,
            ready,
            reason: sealed.reason,
            message: sealed.message.clone(),
            since: unchanged.map(|seen| seen.since.clone()),
        }));
        self.write = Some(Write {
            over: seen.cloned(),
            sent: now,
            answered: false,
        });
    }

    /// A write of the condition ended.
    pub(super) fn condition_written(&mut self, done: bool, now: Instant) {
        if done {
            self.refused = Refused::default();
            if let Some(write) = &mut self.write {
                write.answered = true;
            }
        } else {
            self.write = None;
            self.refused.again(now);
        }
    }
}
