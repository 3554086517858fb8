//! When an open pod is deleted: once, and one that is open for having been altered alone no sooner than the back-off of
//! its object allows.
//!
//! What alters pods after their proof alters the next ones too, and each start costs. Altered pods that were there when
//! one of their object was deleted go with it; those that were made since wait.

use std::collections::HashMap;
use std::time::Instant;

use crate::driver::again::Again;

use super::track::Track;
use super::{Action, Reason};

/// Deletions of altered pods by the owner's UID. Owners that had none for a while are forgotten.
#[derive(Debug, Default)]
pub(super) struct Deletions(pub(super) HashMap<String, Again>);

impl Deletions {
    /// Forgets those that begin anew.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.0.retain(|_, again| !again.rested(now));
    }

    /// What a message says of a pod whose deletion has to wait. It stays the same for as long as it waits.
    pub(super) fn held(&self, track: &Track, now: Instant) -> Option<String> {
        if !track.to_delete() || track.reason() != Some(Reason::PodAltered) {
            return None;
        }
        let again = self.before(track)?;
        again.left(now)?;
        Some(format!(
            "; pods of this object are altered again and again: this one is deleted {} s after the one before",
            again.wait().as_secs()
        ))
    }

    /// Those that this one comes after.
    fn before(&self, track: &Track) -> Option<&Again> {
        let again = self.0.get(&track.pod.owner_uid)?;
        again
            .last()
            .is_some_and(|last| track.since > last)
            .then_some(again)
    }

    /// An altered pod is deleted now. One that was there when another was counts with that.
    fn done(&mut self, track: &Track, now: Instant) {
        let again = self.0.entry(track.pod.owner_uid.clone()).or_default();
        if again.last().is_none_or(|last| track.since > last) {
            again.done(now);
        }
    }
}

impl Track {
    /// Whether it has to go: it is open, and its runtime has run with what it may have learnt.
    fn to_delete(&self) -> bool {
        let due = !self.deleted && !self.pod.terminating;
        due && self.opening.is_some() && self.ran()
    }

    fn reason(&self) -> Option<Reason> {
        self.opening.as_ref().map(|(reason, _)| *reason)
    }

    fn is_altered(&self) -> bool {
        self.altered.is_some() || self.reason() == Some(Reason::PodAltered)
    }

    pub(super) fn delete(
        &mut self,
        deletions: &mut Deletions,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let held = self.refused.holds(now) || deletions.held(self, now).is_some();
        if held || !self.to_delete() {
            return;
        }
        if self.is_altered() {
            deletions.done(self, now);
        }
        self.deleted = true;
        let (namespace, name, uid) = self.label();
        actions.push(Action::Delete {
            namespace,
            name,
            uid,
            grace: self.pod.grace,
        });
    }

    pub(super) fn delete_failed(&mut self, now: Instant) {
        self.deleted = false;
        self.refused.again(now);
    }
}
