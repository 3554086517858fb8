//! The policy that closes every sealed pod of a namespace. No object owns it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::apply::{Applier, ApplyError, Compare};
use super::names::{COMPONENT, MANAGED_BY, MANAGER, NAME, SEALED, SEALED_POLICY};
use super::stores::{Stores, lookup};

/// How long the policy must have been there before the first sealed pod. A plugin needs a moment to see it;
/// what it has enforced is proven from inside the pod, not assumed from this.
pub const SETTLE: Duration = Duration::from_secs(1);

/// No way out, and one way in: operator and canaries to the admin port.
#[must_use]
pub fn build(namespace: &str, operator_namespace: &str) -> NetworkPolicy {
    let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let peer = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(labels(&[(
                "kubernetes.io/metadata.name",
                operator_namespace,
            )])),
            ..LabelSelector::default()
        }),
        pod_selector: Some(LabelSelector {
            match_labels: Some(labels(&[(NAME, "sealroom")])),
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: COMPONENT.to_owned(),
                operator: "In".to_owned(),
                values: Some(vec!["canary".to_owned(), "operator".to_owned()]),
            }]),
        }),
        ip_block: None,
    };
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(SEALED_POLICY.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels(&[
                (NAME, "sealroom"),
                (COMPONENT, "seal"),
                (MANAGED_BY, MANAGER),
            ])),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_expressions: Some(vec![LabelSelectorRequirement {
                    key: SEALED.to_owned(),
                    operator: "Exists".to_owned(),
                    values: None,
                }]),
                match_labels: None,
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                from: Some(vec![peer]),
                ports: Some(vec![port(8081)]),
            }]),
            egress: Some(Vec::new()),
        }),
    }
}

/// A TCP port of a policy, with the protocol that the API server would fill in.
#[must_use]
pub fn port(number: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    }
}

/// Makes the policy be there and says how much longer pods must wait for it; nothing when they need not.
///
/// # Errors
/// As [`Applier::apply`].
pub async fn ensure(
    applier: &Applier,
    stores: &Stores,
    namespace: &str,
    operator_namespace: &str,
) -> Result<Option<Duration>, ApplyError> {
    let there = lookup(&stores.network_policies, namespace, SEALED_POLICY);
    let wanted = build(namespace, operator_namespace);
    applier
        .apply(&wanted, there.clone(), None, Compare::WholeSpec)
        .await?;
    let since = there.and_then(|policy| {
        let uid = policy.uid()?;
        let generation = policy.metadata.generation.unwrap_or_default();
        stores.sealed_since.get(namespace, &uid, generation)
    });
    Ok(remaining(since, Instant::now()))
}

fn remaining(since: Option<Instant>, now: Instant) -> Option<Duration> {
    let age = since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
    SETTLE.checked_sub(age).filter(|left| !left.is_zero())
}

/// The policies that close nothing any more: no sealed pod is left in their namespace, terminating ones
/// included, and no object that could make one.
#[must_use]
pub fn unused(stores: &Stores) -> Vec<Arc<NetworkPolicy>> {
    let ours = stores.network_policies.state_filter(|policy| {
        policy.metadata.name.as_deref() == Some(SEALED_POLICY)
            && policy.labels().get(MANAGED_BY).map(String::as_str) == Some(MANAGER)
    });
    ours.into_iter()
        .filter(|policy| {
            let namespace = policy.namespace();
            stores
                .pods
                .find(|pod| pod.namespace() == namespace && pod.labels().contains_key(SEALED))
                .is_none()
                && stores
                    .model_deployments
                    .find(|md| md.namespace() == namespace)
                    .is_none()
                && stores
                    .model_artifacts
                    .find(|ma| ma.namespace() == namespace)
                    .is_none()
                && stores
                    .mcp_servers
                    .find(|server| server.namespace() == namespace)
                    .is_none()
                && stores
                    .deployments
                    .find(|d| d.namespace() == namespace)
                    .is_none()
                && stores
                    .jobs
                    .find(|job| job.namespace() == namespace)
                    .is_none()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_wait_a_second_of_our_clock() {
        let now = Instant::now();
        let ago = |millis| now.checked_sub(Duration::from_millis(millis));
        assert_eq!(remaining(None, now), Some(SETTLE));
        assert_eq!(remaining(ago(400), now), Some(Duration::from_millis(600)));
        assert_eq!(remaining(ago(1_000), now), None);
        assert_eq!(remaining(ago(5_000), now), None);
    }

    #[test]
    fn denies_egress_and_names_who_may_come_in() {
        let spec = build("team-a", "sealroom-system").spec.unwrap();
        assert_eq!(spec.egress, Some(Vec::new()));
        assert_eq!(spec.policy_types.unwrap(), ["Ingress", "Egress"]);
        let ingress = spec.ingress.unwrap();
        assert_eq!(ingress.len(), 1);
        // A rule without peers or without ports would let in everybody or everything.
        assert_eq!(ingress[0].from.as_ref().unwrap().len(), 1);
        assert_eq!(ingress[0].ports.as_ref().unwrap().len(), 1);
    }
}
