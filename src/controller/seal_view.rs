//! What is proven about an object's pods, as its status says it; pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::conditions::{Truth, find};
use crate::api::model_deployment::{PolicyRef, SealStatus, TenantGuard};
use crate::api::{ConditionType, Reason};
use crate::driver::{self, PodSeal};
use crate::seal::wire::{Mcp, RuntimeFault, TokenKeys};

/// The condition `Sealed` and what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealView {
    /// Its value.
    pub truth: Truth,
    /// Its reason.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// Locks that hold in every pod that counts.
    pub locks: Vec<String>,
    /// The policies that were evaluated.
    pub policies: Vec<PolicyRef>,
    /// What is not tested or not evaluated.
    pub not_evaluated: Vec<String>,
    /// A gate asks for API keys and has none.
    pub keys_missing: bool,
    /// A gate is to serve TLS and has no certificate.
    pub certificate_missing: bool,
    /// The worst state of the key set in any gate.
    pub token_keys: TokenKeys,
    /// The worst that is wrong with the runtime of any pod.
    pub runtime_fault: Option<RuntimeFault>,
    /// What gates say about the MCP server behind them: the worst by its pin.
    pub mcp: Option<Mcp>,
}

impl Default for SealView {
    fn default() -> Self {
        Self {
            truth: Truth::Unknown,
            reason: Reason::Proving,
            message: "no pod is proven yet".to_owned(),
            locks: Vec::new(),
            policies: Vec::new(),
            not_evaluated: Vec::new(),
            keys_missing: false,
            certificate_missing: false,
            token_keys: TokenKeys::Good,
            runtime_fault: None,
            mcp: None,
        }
    }
}

impl SealView {
    /// As the status of an object has it, with its declared ways and the guard of its namespace.
    #[must_use]
    pub fn status(&self, exits: &[String], guard: TenantGuard) -> SealStatus {
        SealStatus {
            locks: self.locks.clone(),
            exits: exits.to_vec(),
            policies: self.policies.clone(),
            not_evaluated: self.not_evaluated.clone(),
            tenant_guard: guard,
        }
    }

    /// What a status says that was written while its pods were proven.
    #[must_use]
    pub fn stored(conditions: &[Condition], seal: Option<&SealStatus>) -> Option<Self> {
        let sealed = find(conditions, ConditionType::Sealed)?;
        let seal = seal.cloned().unwrap_or_default();
        (sealed.status == "True").then(|| Self {
            truth: Truth::True,
            reason: Reason::parse(&sealed.reason).unwrap_or(Reason::NoEgress),
            message: sealed.message.clone(),
            locks: seal.locks,
            policies: seal.policies,
            not_evaluated: seal.not_evaluated,
            ..Self::default()
        })
    }

    /// All pods together: one that is open makes the object open, one that nobody knows makes it unknown.
    /// A pod before its first proof serves nobody, so beside a proven one it does not count.
    #[must_use]
    pub fn of(pods: &[Arc<PodSeal>]) -> Self {
        let proven = pods
            .iter()
            .any(|pod| pod.sealed.status == driver::Status::True);
        let counts =
            |pod: &&Arc<PodSeal>| !(proven && pod.sealed.reason == driver::Reason::Proving);
        let mut counted: Vec<&Arc<PodSeal>> = pods.iter().filter(counts).collect();
        // The worst first; the names keep the choice the same from pass to pass.
        counted.sort_by_key(|pod| (rank(pod), pod.name.clone()));
        let Some(worst) = counted.first() else {
            return Self::default();
        };
        let truth = match worst.sealed.status {
            driver::Status::True => Truth::True,
            driver::Status::False => Truth::False,
            driver::Status::Unknown => Truth::Unknown,
        };
        let all: BTreeSet<&String> = counted.iter().flat_map(|pod| &pod.locks).collect();
        let everywhere = |lock: &&String| counted.iter().all(|pod| pod.locks.contains(lock));
        let policies: BTreeSet<PolicyRef> = counted
            .iter()
            .flat_map(|pod| &pod.policies)
            .map(|policy| PolicyRef {
                name: policy.name.clone(),
                uid: policy.uid.clone(),
                generation: policy.generation,
            })
            .collect();
        let notes: BTreeSet<&String> = counted.iter().flat_map(|pod| &pod.notes).collect();
        Self {
            truth,
            reason: Reason::parse(worst.sealed.reason.as_str()).unwrap_or(Reason::Proving),
            message: worst.sealed.message.clone(),
            locks: all
                .into_iter()
                .filter(everywhere)
                .take(8)
                .cloned()
                .collect(),
            policies: policies.into_iter().take(64).collect(),
            not_evaluated: notes.into_iter().take(32).cloned().collect(),
            keys_missing: counted.iter().any(|pod| pod.keys_missing()),
            certificate_missing: counted.iter().any(|pod| pod.certificate_missing()),
            token_keys: counted
                .iter()
                .map(|pod| pod.token_keys())
                .max()
                .unwrap_or_default(),
            runtime_fault: counted.iter().filter_map(|pod| pod.runtime_fault).max(),
            mcp: counted
                .iter()
                .filter_map(|pod| pod.mcp())
                .max_by_key(|mcp| mcp.pin)
                .cloned(),
        }
    }
}

/// Open before unknown before proven; having got out goes before what could let it out.
fn rank(pod: &PodSeal) -> u8 {
    match (pod.sealed.status, pod.sealed.reason) {
        (driver::Status::False, driver::Reason::EgressOpen) => 0,
        (driver::Status::False, _) => 1,
        (driver::Status::Unknown, _) => 2,
        (driver::Status::True, _) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ModelDeploymentStatus;
    use crate::driver::view::PodKind;
    use crate::driver::{Reason as R, Sealed, Status as S};

    fn pod(name: &str, status: S, reason: R, locks: &[&str]) -> Arc<PodSeal> {
        Arc::new(PodSeal {
            namespace: "team-a".to_owned(),
            name: name.to_owned(),
            uid: name.to_owned(),
            owner_uid: "owner".to_owned(),
            kind: PodKind::Gated,
            sealed: Sealed {
                status,
                reason,
                message: name.to_owned(),
            },
            state: None,
            locks: locks.iter().map(|lock| (*lock).to_owned()).collect(),
            opening: None,
            report: None,
            runtime_fault: None,
            closure: None,
            last_proven: None,
            policies: Vec::new(),
            notes: Vec::new(),
        })
    }

    fn proven(name: &str) -> Arc<PodSeal> {
        pod(name, S::True, R::NoEgress, &["Kernel", "NetworkPolicy"])
    }

    #[rstest::rstest]
    #[case::none(vec![], Truth::Unknown, Reason::Proving)]
    #[case::proven(vec![proven("a")], Truth::True, Reason::NoEgress)]
    #[case::first(vec![pod("a", S::Unknown, R::Proving, &[])], Truth::Unknown, Reason::Proving)]
    #[case::rollout(vec![proven("a"), pod("b", S::Unknown, R::Proving, &[])], Truth::True, Reason::NoEgress)]
    #[case::control(vec![proven("a"), pod("b", S::Unknown, R::ControlFailed, &[])], Truth::Unknown, Reason::ControlFailed)]
    #[case::open(vec![proven("a"), pod("b", S::False, R::PolicyWidens, &[]), pod("c", S::False, R::EgressOpen, &[])], Truth::False, Reason::EgressOpen)]
    fn the_worst_pod_speaks(
        #[case] pods: Vec<Arc<PodSeal>>,
        #[case] truth: Truth,
        #[case] reason: Reason,
    ) {
        let view = SealView::of(&pods);
        assert_eq!((view.truth, view.reason), (truth, reason));
    }

    #[rstest::rstest]
    #[case::proven("True", Some(Reason::NoEgress))]
    #[case::open("False", None)]
    #[case::unknown("Unknown", None)]
    fn only_a_stored_proof_is_remembered(#[case] status: &str, #[case] reason: Option<Reason>) {
        let stored = serde_json::json!({
            "conditions": [{
                "type": "Sealed", "status": status, "reason": "NoEgress", "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
            "seal": { "locks": ["Kernel"] },
        });
        let stored: ModelDeploymentStatus = serde_json::from_value(stored).unwrap();
        let view = SealView::stored(&stored.conditions, stored.seal.as_ref());
        assert_eq!(view.as_ref().map(|view| view.reason), reason);
        assert!(view.is_none_or(|view| view.locks == ["Kernel"]));
    }

    #[test]
    fn a_lock_holds_when_it_holds_everywhere() {
        let pods = [
            proven("a"),
            pod("b", S::True, R::NoEgress, &["NetworkPolicy"]),
        ];
        assert_eq!(SealView::of(&pods).locks, ["NetworkPolicy"]);
    }
}
