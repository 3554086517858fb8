//! A small cluster: two nodes with a canary each, and one object with its pods.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::networking::v1::NetworkPolicy;

use crate::driver::planner::{Owner, Owners};
use crate::driver::view::{Canary, Infrastructure, PodKind, SealedPod, ServiceAddresses};
use crate::policy::{Declared, Pod, Policy};

pub(super) const SEALED: &str = "{podSelector: {matchExpressions: [{key: sealroom.dev/sealed, operator: Exists}]}, policyTypes: [Ingress, Egress]}";
pub(super) const WIDE: &str = "{podSelector: {}, egress: [{}]}";
pub(super) const NARROW: &str =
    "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 203.0.113.7/32}}]}]}";

pub(super) fn policy(name: &str, spec: &str) -> Policy {
    let mut policy = NetworkPolicy {
        spec: Some(serde_saphyr::from_str(spec).expect("a spec")),
        ..NetworkPolicy::default()
    };
    policy.metadata.name = Some(name.to_owned());
    policy.metadata.namespace = Some("team-a".to_owned());
    policy.metadata.uid = Some(format!("uid of {name}"));
    Policy::parse(&policy)
}

fn pod(name: &str, ip: &[&str]) -> Pod {
    Pod {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
        labels: [("sealroom.dev/sealed".to_owned(), "serve".to_owned())].into(),
        addresses: ip
            .iter()
            .map(|ip| ip.parse().expect("an address"))
            .collect(),
        ports: Vec::new(),
    }
}

pub(super) fn sealed_pod(name: &str) -> SealedPod {
    SealedPod {
        uid: name.to_owned(),
        owner_uid: "owner".to_owned(),
        kind: PodKind::Gated,
        pod: pod(name, &["10.0.0.1", "fd00::1"]),
        node: "node-1".to_owned(),
        node_addresses: vec!["172.20.0.1".parse().expect("an address")],
        gate_running: true,
        gate_ready: true,
        engine_started: false,
        engine_oom: false,
        unlabelled: false,
        altered: None,
        notes: Vec::new(),
        grace: Some(120),
        terminating: false,
        condition: None,
    }
}

fn canary(name: &str, node: &str, ip: &[&str]) -> Canary {
    let mut pod = pod(name, ip);
    pod.namespace = "sealroom-system".to_owned();
    pod.labels = [("app".to_owned(), "canary".to_owned())].into();
    Canary {
        uid: name.to_owned(),
        pod,
        node: node.to_owned(),
        ready: true,
    }
}

pub(super) fn shared() -> Infrastructure {
    let found = |ips: &[&str]| {
        ServiceAddresses::Found(
            ips.iter()
                .map(|ip| ip.parse().expect("an address"))
                .collect(),
        )
    };
    Infrastructure {
        canaries: vec![
            canary("canary-1", "node-1", &["10.0.0.9", "fd00::9"]),
            canary("canary-2", "node-2", &["10.0.1.9", "fd00:1::9"]),
        ],
        canary_service: found(&["10.96.0.9", "fd96::9"]),
        dns: found(&["10.96.0.10", "fd96::10"]),
        api: found(&["10.96.0.1"]),
    }
}

/// What the object declares.
#[derive(Clone)]
pub(super) struct OneOwner(pub Vec<Policy>);

impl Owners for OneOwner {
    fn owner(&self, uid: &str) -> Option<Owner> {
        (uid == "owner").then(|| Owner {
            reference: ObjectReference {
                name: Some("assistant".to_owned()),
                ..Default::default()
            },
            declared: Declared {
                policies: self.0.clone(),
            },
            own_node: None,
        })
    }
}
