//! What the reconcilers made, for the driver to hold pods to.
//!
//! The truth is the template that a reconciler wants, not the Deployment that is there: whoever may write pods may write
//! that too. A pod names its template by nothing but a hash that only Kubernetes can compute, so what it is held to
//! follows from what was seen: the templates of this process, and of pods that were proven before it the shape that they
//! had when it first saw them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::jiff::Timestamp;

mod judge;
mod looks;
#[cfg(test)]
mod tests;

pub use looks::Looks;

use super::shape::Shape;

/// Templates of one object that are remembered; the oldest goes first.
const MAX_TEMPLATES: usize = 8;
/// Revisions of one object that are remembered: those of the templates, and some from before. Far more than have pods.
const MAX_REVISIONS: usize = 16;

/// The templates of every object. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Made(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By the object's UID; those that are gone are swept.
    objects: HashMap<String, Object>,
    /// Goes up whenever a judgement could be another one.
    version: u64,
}

/// The templates of one object.
#[derive(Debug)]
struct Object {
    /// When this process first wanted one, in seconds: pods that were made before can be of an older one.
    since: i64,
    /// The newest is the last.
    templates: VecDeque<Arc<Shape>>,
    /// What pods of that `pod-template-hash` are like.
    revisions: VecDeque<(String, Arc<Shape>)>,
    /// Whether no pod is of a template from before this process.
    complete: bool,
    /// The state's when something here changed last.
    version: u64,
}

impl Object {
    fn new(now: Timestamp) -> Self {
        Self {
            since: now.as_second(),
            templates: VecDeque::new(),
            revisions: VecDeque::new(),
            complete: false,
            version: 0,
        }
    }

    /// Takes the template that is wanted now; whether that changed anything.
    fn wants(&mut self, shape: Shape) -> bool {
        if self.templates.back().is_some_and(|last| **last == shape) {
            return false;
        }
        // One to which somebody went back is the newest again.
        self.templates.retain(|known| **known != shape);
        if self.templates.len() == MAX_TEMPLATES {
            self.templates.pop_front();
            self.complete = false;
        }
        self.templates.push_back(Arc::new(shape));
        true
    }

    /// Takes the Deployment that is there; whether that changed anything.
    fn sees(&mut self, there: &Deployment) -> bool {
        if self.complete || !rolled_out(there) {
            return false;
        }
        let spec = there.spec.as_ref();
        let shape = spec.map(|spec| Shape::of_template(&spec.template));
        let newest = self.templates.back().zip(shape);
        let as_wanted = newest.is_some_and(|(newest, there)| there.differs(newest).is_none());
        if !as_wanted {
            return false;
        }
        self.complete = true;
        true
    }

    /// Remembers what the pods of a revision are like; whether that is new.
    fn learn(&mut self, revision: &str, shape: &Arc<Shape>) -> bool {
        if revision.is_empty() || self.revision(revision).is_some() {
            return false;
        }
        if self.revisions.len() == MAX_REVISIONS {
            self.revisions.pop_front();
        }
        let known = (revision.to_owned(), Arc::clone(shape));
        self.revisions.push_back(known);
        true
    }

    /// What the pods of a revision are like. One that is asked for is forgotten last: however many templates somebody
    /// tries, the pods of the one that serves meanwhile stay what was made.
    fn revision(&mut self, revision: &str) -> Option<Arc<Shape>> {
        let mut names = self.revisions.iter();
        let at = names.position(|(name, _)| name == revision)?;
        let known = self.revisions.remove(at)?;
        let of = Arc::clone(&known.1);
        self.revisions.push_back(known);
        Some(of)
    }
}

/// Whether all pods of a Deployment are of its template (`kubectl rollout status` asks the same).
fn rolled_out(there: &Deployment) -> bool {
    there.status.as_ref().is_some_and(|status| {
        status.observed_generation == there.metadata.generation
            && status.replicas.unwrap_or(0) == status.updated_replicas.unwrap_or(0)
    })
}

impl Made {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass of the object of this UID wants this Deployment, and that one is there.
    pub fn note(
        &self,
        owner_uid: &str,
        wanted: &Deployment,
        there: Option<&Deployment>,
        now: Timestamp,
    ) {
        let Some(spec) = &wanted.spec else {
            return;
        };
        let shape = Shape::of_template(&spec.template);
        let mut state = self.state();
        let State { objects, version } = &mut *state;
        let object = objects
            .entry(owner_uid.to_owned())
            .or_insert_with(|| Object::new(now));
        let wants = object.wants(shape);
        let sees = there.is_some_and(|there| object.sees(there));
        if wants || sees {
            *version += 1;
            object.version = *version;
        }
    }

    /// Changes whenever a pod could be judged otherwise than before.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state().version
    }

    /// The same for the pods of one object.
    fn version_of(&self, owner_uid: &str) -> u64 {
        let state = self.state();
        let object = state.objects.get(owner_uid);
        object.map_or(0, |object| object.version)
    }

    /// Forgets the objects that nobody knows any more.
    fn sweep(&self, known: impl Fn(&str) -> bool) {
        self.state().objects.retain(|uid, _| known(uid));
    }
}
