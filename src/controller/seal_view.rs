//! What is proven about an object's pods, as its status says it; pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::conditions::{Truth, find};
use crate::api::model_deployment::{PolicyRef, SealStatus, TenantGuard};
use crate::api::{ConditionType, Reason};
use crate::driver::{self, PodSeal};
use crate::seal::wire::{Lack, Mcp, RuntimeFault, TokenKeys};

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
    /// What any gate lacks to ask the models of an MCP server; `None` before one was heard.
    pub models_lack: Option<BTreeSet<Lack>>,
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
            models_lack: None,
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
            models_lack: heard(&counted),
        }
    }
}

/// What the gates say that they lack, together. A gate that nobody heard says nothing, and nobody may take that for
/// having all.
fn heard(pods: &[&Arc<PodSeal>]) -> Option<BTreeSet<Lack>> {
    let mut said = pods.iter().filter_map(|pod| pod.models_lack()).peekable();
    said.peek()?;
    Some(said.flatten().copied().collect())
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
#[path = "seal_view_tests.rs"]
mod tests;
