//! What a pod is to policies and to the planner.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::driver::cluster::CONDITION;
use crate::driver::made::Looks;
use crate::driver::shape;
use crate::driver::view::{Canary, Condition, PodKind, SealedPod};
use crate::policy::{self, NamedPort, Protocol};

/// The label of sealed pods.
const SEALED: &str = "sealroom.dev/sealed";
/// The label with the owner's UID.
const OWNER_UID: &str = "sealroom.dev/owner-uid";
/// The gate's container.
const GATE: &str = "gate";

/// The pod as policies see it; `None` for one that is over.
fn policy_pod(pod: &Pod) -> Option<policy::Pod> {
    let status = pod.status.as_ref()?;
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return None;
    }
    let spec = pod.spec.as_ref()?;
    let init = spec.init_containers.iter().flatten();
    let containers = spec.containers.iter().chain(init);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    Some(policy::Pod {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        labels: pod.labels().clone(),
        addresses: (status.pod_ips.iter().flatten())
            .filter_map(|ip| ip.ip.parse().ok())
            .collect(),
        ports: ports
            .filter_map(|port| {
                Some(NamedPort {
                    name: port.name.clone()?,
                    protocol: Protocol::parse(port.protocol.as_deref())?,
                    port: u16::try_from(port.container_port).ok()?,
                })
            })
            .collect(),
    })
}

/// The pod as the planner sees it; `None` for one that is over, and for one that is nobody's to seal.
pub(super) fn sealed_pod(pod: &Pod, looks: &mut Looks) -> Option<SealedPod> {
    let seen = policy_pod(pod)?;
    let status = pod.status.as_ref()?;
    let label = pod.labels().get(SEALED);
    let mut readiness = pod.spec.as_ref()?.readiness_gates.iter().flatten();
    let gated = readiness.any(|gate| gate.condition_type == CONDITION);
    if label.is_none() && !gated {
        return None;
    }
    let statuses = status.init_container_statuses.iter().flatten();
    let gates = statuses.filter(|container| container.name == GATE);
    let mut engines = status.container_statuses.iter().flatten();
    let conditions = status.conditions.iter().flatten();
    let mut sealed = conditions.filter(|condition| condition.type_ == CONDITION);
    let owner_uid = pod.labels().get(OWNER_UID).cloned().unwrap_or_default();
    Some(SealedPod {
        uid: pod.uid()?,
        altered: looks.look(pod, &owner_uid),
        notes: shape::otherwise(pod),
        owner_uid,
        kind: if label.is_some_and(|kind| kind == "pull") {
            PodKind::Ungated
        } else {
            PodKind::Gated
        },
        pod: seen,
        node: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .unwrap_or_default(),
        node_addresses: (status.host_ips.iter().flatten())
            .filter_map(|ip| ip.ip.parse().ok())
            .collect(),
        gate_ready: gates.clone().any(|gate| gate.ready),
        gate_running: gates.clone().any(|gate| {
            gate.state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
        }),
        engine_started: engines.clone().any(|engine| engine.started == Some(true)),
        engine_oom: engines.any(|engine| {
            let last = engine.last_state.as_ref();
            let ended = last.and_then(|state| state.terminated.as_ref());
            ended.is_some_and(|ended| ended.reason.as_deref() == Some("OOMKilled"))
        }),
        unlabelled: label.is_none(),
        grace: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        condition: sealed.next().map(|condition| {
            let since = condition.last_transition_time.as_ref();
            Condition {
                status: condition.status.clone(),
                reason: condition.reason.clone().unwrap_or_default(),
                since: since.map(|time| time.0.to_string()).unwrap_or_default(),
            }
        }),
    })
}

/// The canary in this pod; `None` while it cannot be dialled.
pub(super) fn canary(pod: &Pod) -> Option<Canary> {
    let seen = policy_pod(pod)?;
    if seen.addresses.is_empty() || pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    Some(Canary {
        uid: pod.uid()?,
        pod: seen,
        node: pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
            .unwrap_or_default(),
        ready: conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True"),
    })
}
