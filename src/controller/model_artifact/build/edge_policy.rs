//! What the pulling pods may reach: the declared registry.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;

use crate::api::ModelArtifact;
use crate::controller::config::Registry;
use crate::controller::names::{OWNER_UID, child_meta, edge_policy, uid};

/// The policy.
#[must_use]
pub fn build(artifact: &ModelArtifact, registry: &Registry) -> NetworkPolicy {
    let ports = registry.ports.iter().map(|port| NetworkPolicyPort {
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        ..port.clone()
    });
    NetworkPolicy {
        metadata: child_meta(artifact, edge_policy(&artifact.name_any()), "seal"),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(BTreeMap::from([(
                    OWNER_UID.to_owned(),
                    uid(artifact).to_owned(),
                )])),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(Vec::new()),
            egress: Some(vec![NetworkPolicyEgressRule {
                to: Some(registry.peers.clone()),
                ports: Some(ports.collect()),
            }]),
        }),
    }
}
