//! Since when the shared policy of each namespace is what it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;

use crate::controller::names::SEALED_POLICY;

/// When this process first saw each namespace's shared policy in its present UID and generation.
///
/// The clock is monotonic: neither a wrong wall clock nor the object's own time stamps count.
#[derive(Clone, Debug, Default)]
pub struct SealedSince(Arc<Mutex<HashMap<String, FirstSeen>>>);

/// UID and generation of a policy, and when they were first seen.
type FirstSeen = (String, i64, Instant);

impl SealedSince {
    /// When the policy of that UID and generation was first seen in the namespace.
    #[must_use]
    pub fn get(&self, namespace: &str, uid: &str, generation: i64) -> Option<Instant> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(namespace)
            .filter(|(id, number, _)| id == uid && *number == generation)
            .map(|(.., at)| *at)
    }

    /// Notes a policy that is there.
    pub(super) fn saw(&self, policy: &NetworkPolicy, now: Instant) {
        if policy.metadata.name.as_deref() != Some(SEALED_POLICY) {
            return;
        }
        let namespace = policy.namespace().unwrap_or_default();
        let id = (
            policy.uid().unwrap_or_default(),
            policy.metadata.generation.unwrap_or_default(),
        );
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = seen.entry(namespace).or_insert((String::new(), 0, now));
        if (&entry.0, entry.1) != (&id.0, id.1) {
            *entry = (id.0, id.1, now);
        }
    }

    /// Forgets one that is not there any more.
    pub(super) fn gone(&self, policy: &NetworkPolicy) {
        if policy.metadata.name.as_deref() == Some(SEALED_POLICY) {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.remove(&policy.namespace().unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(uid: &str, generation: i64) -> NetworkPolicy {
        let mut policy = NetworkPolicy::default();
        policy.metadata.name = Some(SEALED_POLICY.to_owned());
        policy.metadata.namespace = Some("team-a".to_owned());
        policy.metadata.uid = Some(uid.to_owned());
        policy.metadata.generation = Some(generation);
        policy
    }

    #[test]
    fn the_clock_begins_anew_with_uid_or_generation() {
        let since = SealedSince::default();
        let first = Instant::now();
        let later = first + std::time::Duration::from_secs(5);
        since.saw(&policy("a", 1), first);
        since.saw(&policy("a", 1), later);
        assert_eq!(since.get("team-a", "a", 1), Some(first));
        since.saw(&policy("a", 2), later);
        assert_eq!(since.get("team-a", "a", 1), None);
        assert_eq!(since.get("team-a", "a", 2), Some(later));
        since.gone(&policy("a", 2));
        assert_eq!(since.get("team-a", "a", 2), None);
    }
}
