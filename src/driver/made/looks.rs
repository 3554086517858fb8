//! Looks at each pod once for each of its versions, and remembers no more than what was found.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::Made;
use super::judge::{Candidate, Judged};
use crate::driver::cluster::CONDITION;
use crate::driver::planner::Owners;
use crate::driver::shape::Shape;
use crate::driver::view::View;

/// The label with which the Deployment controller says of which template a pod is.
const REVISION: &str = "pod-template-hash";
/// Time between two looks for objects that are gone.
const SWEEP: Duration = Duration::from_secs(60);

/// What was found at each pod.
#[derive(Debug, Default)]
pub struct Looks {
    made: Made,
    /// By the pod's UID; those that are gone are forgotten.
    pods: HashMap<String, Look>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Look {
    /// Of the pod.
    version: Option<String>,
    /// Of what was made for its object.
    made: u64,
    /// Whether it was once what was made.
    known: bool,
    /// Whether it was proven when it was first seen.
    proven: bool,
    found: Option<String>,
}

impl Looks {
    /// Holds pods to what is noted there.
    #[must_use]
    pub fn new(made: Made) -> Self {
        Self {
            made,
            ..Self::default()
        }
    }

    /// Changes whenever a pod could be judged otherwise than before.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.made.version()
    }

    /// How a pod differs from what was made for the object of that UID; nothing where it does not, or nobody can say.
    pub fn look(&mut self, pod: &Pod, owner_uid: &str) -> Option<String> {
        let uid = pod.uid()?;
        let made = self.made.version_of(owner_uid);
        let before = self.pods.get(&uid);
        if let Some(before) = before
            && before.made == made
            && before.version == pod.metadata.resource_version
        {
            return before.found.clone();
        }
        let known = before.is_some_and(|before| before.known);
        let proven = before.map_or_else(|| proven(pod), |before| before.proven);
        let labels = pod.metadata.labels.as_ref();
        let revision = labels.and_then(|labels| labels.get(REVISION));
        let created = pod.metadata.creation_timestamp.as_ref();
        let judged = self.made.judge(&Candidate {
            owner_uid,
            revision: revision.map_or("", String::as_str),
            shape: Shape::of_pod(pod),
            created: created.map_or(0, |time| time.0.as_second()),
            proven,
            terminating: pod.metadata.deletion_timestamp.is_some(),
            known,
        });
        let known = known || judged == Judged::Same;
        let found = match judged {
            Judged::Unlike(text) => Some(text),
            Judged::Same | Judged::Unknown => None,
        };
        let look = Look {
            version: pod.metadata.resource_version.clone(),
            made,
            known,
            proven,
            found: found.clone(),
        };
        self.pods.insert(uid, look);
        found
    }

    /// Forgets the pods that are gone, and now and then the objects.
    pub fn sweep(&mut self, view: &View, owners: &dyn Owners, now: Instant) {
        let here: std::collections::HashSet<&str> =
            view.pods.iter().map(|pod| pod.uid.as_str()).collect();
        self.pods.retain(|uid, _| here.contains(uid.as_str()));
        let due = |swept: Instant| now.saturating_duration_since(swept) >= SWEEP;
        if !self.swept.is_none_or(due) {
            return;
        }
        self.swept = Some(now);
        let with_pods: std::collections::HashSet<&str> =
            view.pods.iter().map(|pod| pod.owner_uid.as_str()).collect();
        self.made
            .sweep(|uid| with_pods.contains(uid) || owners.owner(uid).is_some());
    }
}

/// Whether the condition of a pod says that it is sealed.
fn proven(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let mut conditions = status
        .and_then(|status| status.conditions.as_ref())
        .into_iter()
        .flatten();
    conditions.any(|condition| condition.type_ == CONDITION && condition.status == "True")
}
