//! What each object declares, and what it declared a moment ago.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::driver::view::View;
use crate::policy::Declared;

use super::{Owner, Owners};

/// How long a changed declaration still counts: so long the operator may take to narrow its own policy after
/// somebody narrowed the object, and the pod must not be closed for that.
pub(super) const OVERLAP: Duration = Duration::from_secs(5);
/// Changed declarations of one object that still count; the oldest goes first.
const MAX_BEFORE: usize = 16;

/// The owners of the pods in view.
#[derive(Debug, Default)]
pub(super) struct DeclaredMemory(HashMap<String, Known>);

/// One owner.
#[derive(Debug)]
pub(super) struct Known {
    owner: Owner,
    /// What it declared before, oldest first, each with the moment in which it was changed.
    before: Vec<(Declared, Instant)>,
}

impl DeclaredMemory {
    /// Asks for every owner that a pod names. One that is gone is remembered while it has pods: its
    /// terminating pods are held to what it declared.
    pub(super) fn refresh(&mut self, view: &View, owners: &dyn Owners, now: Instant) {
        let named: BTreeSet<&str> = view.pods.iter().map(|pod| pod.owner_uid.as_str()).collect();
        self.0.retain(|uid, _| named.contains(uid.as_str()));
        for uid in named {
            let Some(owner) = owners.owner(uid) else {
                continue;
            };
            match self.0.get_mut(uid) {
                None => {
                    self.0.insert(
                        uid.to_owned(),
                        Known {
                            owner,
                            before: Vec::new(),
                        },
                    );
                }
                Some(known) => known.update(owner, now),
            }
        }
    }

    pub(super) fn of(&self, uid: &str) -> Option<&Known> {
        self.0.get(uid)
    }
}

impl Known {
    fn update(&mut self, owner: Owner, now: Instant) {
        if owner.declared != self.owner.declared {
            let before = std::mem::take(&mut self.owner.declared);
            self.before.retain(|(_, changed)| overlaps(*changed, now));
            if self.before.len() == MAX_BEFORE {
                self.before.remove(0);
            }
            self.before.push((before, now));
        }
        self.owner = owner;
    }

    pub(super) fn current(&self) -> &Owner {
        &self.owner
    }

    /// What counts as declared now.
    pub(super) fn declared(&self, now: Instant) -> Declared {
        let mut declared = self.owner.declared.clone();
        let before = self.before.iter();
        let counting = before.filter(|(_, changed)| overlaps(*changed, now));
        for (before, _) in counting {
            declared.policies.extend(before.policies.iter().cloned());
        }
        declared
    }
}

fn overlaps(changed: Instant, now: Instant) -> bool {
    now.saturating_duration_since(changed) < OVERLAP
}
