//! What the pulling pods may reach: the declared registry.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use kube::ResourceExt;

use crate::api::ModelArtifact;
use crate::controller::config::Registry;
use crate::controller::names::{child_meta, edge_policy, uid};
use crate::controller::serving::edge;

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
            egress: Some(vec![NetworkPolicyEgressRule {
                to: Some(registry.peers.clone()),
                ports: Some(ports.collect()),
            }]),
            ..edge::closed(uid(artifact))
        }),
    }
}
