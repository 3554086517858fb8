//! The cluster as the driver sees it at one moment, without Kubernetes types.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::policy;

/// Who waits behind the label `sealroom.dev/sealed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodKind {
    /// Has a gate and gets challenges; also when somebody took its label away.
    Gated,
    /// A pull: held by policy and closure alone, never challenged.
    Ungated,
}

/// A sealed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPod {
    /// Its UID.
    pub uid: String,
    /// UID of the object that it belongs to (`sealroom.dev/owner-uid`).
    pub owner_uid: String,
    /// Whether it has a gate.
    pub kind: PodKind,
    /// Namespace, name, labels, addresses.
    pub pod: policy::Pod,
    /// The node that it runs on.
    pub node: String,
    /// That node's addresses, at most one per family.
    pub node_addresses: Vec<IpAddr>,
    /// Whether its gate is running, so that a challenge can be delivered.
    pub gate_running: bool,
    /// Whether the kubelet finds its gate ready.
    pub gate_ready: bool,
    /// Whether its engine has started, and so shown its lock to the gate.
    pub engine_started: bool,
    /// Whether the kubelet says that its engine's container was killed for want of memory the last time it ended.
    pub engine_oom: bool,
    /// Whether it has lost the label that the policies select it by.
    pub unlabelled: bool,
    /// How it differs from what was made, in words.
    pub altered: Option<String>,
    /// What is known of it and not evaluated, in words.
    pub notes: Vec<String>,
    /// Seconds that it has to end when it is deleted.
    pub grace: Option<i64>,
    /// Whether somebody deleted it; it is challenged until it is gone.
    pub terminating: bool,
    /// Its condition `sealroom.dev/sealed` as last seen.
    pub condition: Option<Condition>,
}

/// A condition of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason.
    pub reason: String,
    /// Since when the status is what it is, RFC 3339.
    pub since: String,
}

/// Canaries that take part in rounds: more would not prove more, and each asks all the others.
pub const MAX_CANARIES: usize = 8;

/// A canary pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Its UID.
    pub uid: String,
    /// As policies see it; its addresses are what gates and operator dial.
    pub pod: policy::Pod,
    /// The node that it runs on.
    pub node: String,
    /// Whether the kubelet calls it ready.
    pub ready: bool,
}

/// The addresses of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServiceAddresses {
    /// The platform has none of this kind and said so.
    #[default]
    NotConfigured,
    /// It should be there and is not: its control has failed.
    Missing,
    /// Its cluster addresses.
    Found(Vec<IpAddr>),
}

/// What all pods' rounds share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Infrastructure {
    /// The canaries that take part, in the order of their UIDs.
    pub canaries: Vec<Canary>,
    /// The canaries' Service.
    pub canary_service: ServiceAddresses,
    /// Cluster DNS.
    pub dns: ServiceAddresses,
    /// The API server's Service.
    pub api: ServiceAddresses,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// All sealed pods that are not over.
    pub pods: Vec<SealedPod>,
    /// What their rounds share.
    pub shared: Infrastructure,
    /// All NetworkPolicies.
    pub policies: Vec<policy::Policy>,
    /// All namespaces' labels.
    pub namespaces: BTreeMap<String, policy::Labels>,
    /// Kinds of policy that the cluster knows and that are not evaluated, sorted.
    pub foreign: Vec<String>,
}

impl Infrastructure {
    /// Keeps the ready canaries; all of them when none is ready, so that their silence is named as the
    /// control that failed.
    #[must_use]
    pub fn with_canaries(mut self, mut canaries: Vec<Canary>) -> Self {
        if canaries.iter().any(|canary| canary.ready) {
            canaries.retain(|canary| canary.ready);
        }
        canaries.sort_by(|one, other| one.uid.cmp(&other.uid));
        canaries.truncate(MAX_CANARIES);
        self.canaries = canaries;
        self
    }
}
