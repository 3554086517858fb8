//! Whether a pod is what was made.

use std::sync::Arc;

use super::{Made, Object, State};
use crate::driver::shape::Shape;

/// A pod.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) owner_uid: &'a str,
    /// Its `pod-template-hash`.
    pub(super) revision: &'a str,
    pub(super) shape: Shape,
    /// When it was made, in seconds of the API server's clock.
    pub(super) created: i64,
    /// Whether it was proven when this process first saw it: by an operator before, which knew what it had made.
    pub(super) proven: bool,
    pub(super) terminating: bool,
    /// Whether this process has seen it as it was made.
    pub(super) known: bool,
}

/// What is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is what was made.
    Same,
    /// It is not, in words.
    Unlike(String),
    /// Nobody can say: its template is older than this process, or nothing was made yet.
    Unknown,
}

impl Made {
    /// Judges a pod, and learns from it what the others of its revision are like.
    pub(super) fn judge(&self, pod: &Candidate<'_>) -> Judged {
        let never = || pod.shape.never().map_or(Judged::Unknown, Judged::Unlike);
        let mut state = self.state();
        let State { objects, version } = &mut *state;
        let Some(object) = objects.get_mut(pod.owner_uid) else {
            return never();
        };
        if let Some(template) = object.made_of(&pod.shape) {
            if object.learn(pod.revision, &template) {
                *version += 1;
                object.version = *version;
            }
            return Judged::Same;
        }
        if let Some(of) = object.revision(pod.revision) {
            return pod.shape.differs(&of).map_or(Judged::Same, Judged::Unlike);
        }
        let newer = pod.created >= object.since;
        if pod.known || newer || (object.complete && !pod.terminating) {
            return object.unlike(&pod.shape);
        }
        if let unlike @ Judged::Unlike(_) = never() {
            return unlike;
        }
        // Of a rollout that began before this process. What is proven by this one may be an altered pod of the template
        // that is wanted, made while nobody led: it says nothing of others, and is judged when the rollout is done.
        if pod.proven && object.learn(pod.revision, &Arc::new(pod.shape.clone())) {
            *version += 1;
            object.version = *version;
        }
        Judged::Unknown
    }
}

impl Object {
    fn made_of(&self, shape: &Shape) -> Option<Arc<Shape>> {
        let mut newest_first = self.templates.iter().rev();
        newest_first
            .find(|template| shape.differs(template).is_none())
            .cloned()
    }

    /// By the template that it is least unlike.
    fn unlike(&self, shape: &Shape) -> Judged {
        let newest_first = self.templates.iter().rev();
        let nearest = newest_first.min_by_key(|template| shape.distance(template));
        let text = nearest.and_then(|template| shape.differs(template));
        text.map_or(Judged::Unknown, Judged::Unlike)
    }
}
