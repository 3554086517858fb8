//! Who may reach the serving pods.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicySpec,
};
use kube::ResourceExt;

use crate::api::ModelDeployment;
use crate::controller::config::Config;
use crate::controller::names::{child_meta, edge_policy, uid};
use crate::controller::sealed_policy::port;
use crate::controller::serving::edge;

/// The API for the declared clients and for the MCP servers of the namespace that name the model, by their UIDs; the
/// metrics for the platform's scrapers; no way out.
#[must_use]
pub fn build(object: &ModelDeployment, config: &Config, servers: &[Server]) -> NetworkPolicy {
    let mut ingress = edge::inward(&object.spec.access.from, config);
    if !servers.is_empty() {
        ingress.push(NetworkPolicyIngressRule {
            from: Some(servers.iter().map(|server| peer(&server.uid)).collect()),
            ports: Some(vec![port(8080)]),
        });
    }
    NetworkPolicy {
        metadata: child_meta(object, edge_policy(&object.name_any()), "seal"),
        spec: Some(NetworkPolicySpec {
            ingress: Some(ingress),
            ..edge::closed(uid(object))
        }),
    }
}

/// An MCP server of the same namespace that names the model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Its UID, which its pods carry as a label.
    pub uid: String,
    /// Its name.
    pub name: String,
}

fn peer(uid: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(edge::labelled(&edge::owner(uid))),
        ..NetworkPolicyPeer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::validate::tests::{config, object};
    use super::*;

    #[test]
    fn nobody_is_nobody() {
        let mut object = object();
        object.spec.access.from.clear();
        let mut config = config();
        config.metrics_from.clear();
        let spec = build(&object, &config, &[]).spec.unwrap();
        assert_eq!(spec.ingress, Some(Vec::new()));
        assert_eq!(spec.policy_types.unwrap(), ["Ingress", "Egress"]);
    }

    /// Each server is one peer, by what only its own pods carry.
    #[test]
    fn servers_come_in_by_their_uid() {
        let mut object = object();
        object.spec.access.from.clear();
        let servers = ["u1", "u2"].map(|uid| Server {
            uid: uid.to_owned(),
            name: uid.to_owned(),
        });
        let mut config = config();
        config.metrics_from.clear();
        let ingress = build(&object, &config, &servers)
            .spec
            .unwrap()
            .ingress
            .unwrap();
        assert_eq!(ingress.len(), 1);
        let peers = ingress[0].from.as_ref().unwrap();
        assert_eq!(peers.len(), 2);
        assert!(peers.iter().all(|peer| peer.namespace_selector.is_none()));
        assert_eq!(
            peers[1].pod_selector.as_ref().unwrap().match_labels,
            Some(edge::owner("u2"))
        );
        assert_eq!(ingress[0].ports.as_ref().unwrap(), &[port(8080)]);
    }
}
