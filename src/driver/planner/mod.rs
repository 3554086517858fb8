//! Which pods are due, what their reports mean, and what is to be done: pure, with the time passed in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;

use crate::policy::Declared;
use crate::seal::state::{FIRST_SPAN, OwnNode};

use super::board::PodSeal;
use super::config::Config;
use super::view::{PodKind, View};

mod altered;
mod answer;
mod declared;
mod deletion;
mod got_out;
mod judge;
mod opening;
mod readiness;
mod round;
mod schedule;
mod track;

pub use answer::Finished;
pub use judge::{Reason, Sealed, Status};
pub use round::Begun;
pub use schedule::Due;

use declared::DeclaredMemory;
use deletion::Deletions;
use schedule::Bucket;
use track::Track;

/// The object that a pod belongs to, as far as the driver needs it.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// Where its Events go.
    pub reference: ObjectReference,
    /// The policies that the operator builds for it, the namespace's shared one included.
    pub declared: Declared,
    /// What reaching the own node means for its pods; `None` is [`OwnNode::Report`].
    pub own_node: Option<OwnNode>,
}

/// Who knows the objects: asked by UID, answers from a cache.
pub trait Owners: Send + Sync {
    /// The object with this UID, while it exists.
    fn owner(&self, uid: &str) -> Option<Owner>;
}

/// What the driver has to do about something.
#[derive(Clone, Debug)]
pub enum Action {
    /// Put this on the board.
    Publish(Box<PodSeal>),
    /// The pod is gone: take it off the board.
    Forget {
        /// The pod's UID.
        uid: String,
    },
    /// Write the pod's condition `sealroom.dev/sealed`.
    Condition(PodCondition),
    /// Delete the pod: it is open and its runtime ran.
    Delete {
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        name: String,
        /// Only the pod with this UID.
        uid: String,
        /// Seconds that it has to end when anybody else deletes it.
        grace: Option<i64>,
    },
    /// Tell the owner that a pod was seen open.
    Event {
        /// The owner.
        regarding: Box<ObjectReference>,
        /// A reason of the condition `Sealed`.
        reason: Reason,
        /// Pod and detail, at most 1,024 characters.
        note: String,
    },
}

/// The readiness condition of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodCondition {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// Only the pod with this UID.
    pub uid: String,
    /// Whether it may be ready.
    pub ready: bool,
    /// The reason.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// Since when the status is what it is, RFC 3339, if it does not change now.
    pub since: Option<String>,
}

/// Everything that the driver knows, owned by one task.
#[derive(Debug)]
pub struct Planner {
    config: Config,
    view: Arc<View>,
    /// By pod UID, so no longer than the list of sealed pods.
    tracks: BTreeMap<String, Track>,
    /// Whose nonce it is and when it was made, by nonce; bounded by what each track remembers.
    nonces: HashMap<String, (String, Instant)>,
    declared: DeclaredMemory,
    deletions: Deletions,
    /// What alarms and rounds share.
    bucket: Bucket,
    /// What alarms may take of that: who opens many pods of his must not keep all others from their proofs.
    alarms: Bucket,
    started: Instant,
}

impl Planner {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let rate = f64::from(config.max_per_second.max(1));
        Self {
            bucket: Bucket::new(rate, now),
            alarms: Bucket::new(rate / 2.0, now),
            config,
            view: Arc::default(),
            tracks: BTreeMap::new(),
            nonces: HashMap::new(),
            declared: DeclaredMemory::default(),
            deletions: Deletions::default(),
            started: now,
        }
    }

    /// Takes in the cluster as it is now: new pods, gone pods, and for every pod what the policies say.
    pub fn observe(&mut self, view: Arc<View>, owners: &dyn Owners, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        self.view = Arc::clone(&view);
        self.forget_gone(&view, &mut actions);
        self.declared.refresh(&view, owners, now);
        self.deletions.sweep(now);
        let young = now.saturating_duration_since(self.started) < declared::OVERLAP;
        for pod in &view.pods {
            let track = self
                .tracks
                .entry(pod.uid.clone())
                .or_insert_with(|| Track::new(pod, now));
            let owner = self.declared.of(&pod.owner_uid);
            track.observe(pod, &view.policies, owner, young, now);
            self.settle(&pod.uid, now, &mut actions);
        }
        actions
    }

    fn forget_gone(&mut self, view: &View, actions: &mut Vec<Action>) {
        let here: std::collections::HashSet<&str> =
            view.pods.iter().map(|pod| pod.uid.as_str()).collect();
        self.tracks.retain(|uid, _| {
            let stays = here.contains(uid.as_str());
            if !stays {
                actions.push(Action::Forget { uid: uid.clone() });
            }
            stays
        });
        let tracks = &self.tracks;
        self.nonces.retain(|_, (uid, _)| tracks.contains_key(uid));
    }

    /// Time between two rounds of a proven pod, longer when there are more pods than the rate allows.
    #[must_use]
    pub fn period(&self) -> Duration {
        let gated = self
            .tracks
            .values()
            .filter(|track| track.pod.kind == PodKind::Gated);
        let pods = u32::try_from(gated.count()).unwrap_or(u32::MAX);
        // A tenth of the rate is left for pods that are not proven yet.
        let rate = f64::from(self.config.max_per_second.max(1)) * 0.9;
        self.config
            .round
            .max(Duration::from_secs_f64(f64::from(pods) / rate))
    }

    /// How long a proof holds. A gate counts only rounds that are still valid towards the first proof, so a
    /// validity shorter than that proof's span could never be reached.
    #[must_use]
    pub fn validity(&self) -> Duration {
        let rounds = self.config.validity_rounds.max(1);
        self.period().saturating_mul(rounds).max(FIRST_SPAN * 2)
    }

    /// Brings board, condition, Events and deletion of a pod up to what is known now.
    fn settle(&mut self, uid: &str, now: Instant, actions: &mut Vec<Action>) {
        let validity = self.validity();
        let Some(track) = self.tracks.get_mut(uid) else {
            return;
        };
        track.word_opening(&self.view, now);
        let declared = self.declared.of(&track.pod.owner_uid);
        let egress = declared.is_some_and(|owner| owner.current().declared.has_egress());
        let mut sealed = judge::judge(track, validity, egress, now);
        if let Some(wait) = self.deletions.held(track, now) {
            sealed.message.push_str(&wait);
        }
        let reference = declared.map(|owner| &owner.current().reference);
        track.event(reference, actions);
        track.condition(&sealed, now, actions);
        track.delete(&mut self.deletions, now, actions);
        track.publish(sealed, actions);
    }

    /// A write of a pod's condition ended. One that failed is tried again by a later [`Planner::observe`].
    pub fn condition_written(&mut self, uid: &str, done: bool, now: Instant) {
        if let Some(track) = self.tracks.get_mut(uid) {
            track.condition_written(done, now);
        }
    }

    /// The deletion of a pod failed: it is tried again by a later [`Planner::observe`].
    pub fn delete_failed(&mut self, uid: &str, now: Instant) {
        if let Some(track) = self.tracks.get_mut(uid) {
            track.delete_failed(now);
        }
    }
}

#[cfg(test)]
mod tests;
