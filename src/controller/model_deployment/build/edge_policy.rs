//! Who may reach the serving pods.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;

use crate::api::ModelDeployment;
use crate::controller::config::Config;
use crate::controller::names::{OWNER_UID, child_meta, edge_policy, uid};
use crate::controller::sealed_policy::port;

/// The API for the declared clients, the metrics for the platform's scrapers, no way out.
#[must_use]
pub fn build(object: &ModelDeployment, config: &Config) -> NetworkPolicy {
    let rules = [
        (&object.spec.access.from, 8080),
        (&config.metrics_from, 8082),
    ];
    NetworkPolicy {
        metadata: child_meta(object, edge_policy(&object.name_any()), "seal"),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(BTreeMap::from([(
                    OWNER_UID.to_owned(),
                    uid(object).to_owned(),
                )])),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(
                rules
                    .iter()
                    .filter_map(|(peers, at)| rule(peers, *at))
                    .collect(),
            ),
            egress: Some(Vec::new()),
        }),
    }
}

/// A rule without peers would let everybody in: nobody means no rule.
fn rule(peers: &[NetworkPolicyPeer], at: i32) -> Option<NetworkPolicyIngressRule> {
    (!peers.is_empty()).then(|| NetworkPolicyIngressRule {
        from: Some(peers.to_vec()),
        ports: Some(vec![port(at)]),
    })
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
        let spec = build(&object, &config).spec.unwrap();
        assert_eq!(spec.ingress, Some(Vec::new()));
        assert_eq!(spec.policy_types.unwrap(), ["Ingress", "Egress"]);
    }
}
