//! The tenant guard as the cluster has it: admission policies and bindings of the chart, observed and not assumed.
//!
//! Nobody tells the operator whether the guard is on. It looks for every policy and every binding by name and sees
//! whether they refuse (`admissionregistration.k8s.io/v1`, KEP-3488).

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::model_deployment::TenantGuard;

/// Selects the chart's policies and bindings.
pub const SELECTOR: &str = "app.kubernetes.io/name=sealroom,app.kubernetes.io/component=guard";
/// The label of namespaces into whose pods nothing leads but the network.
pub const LABEL: &str = "sealroom.dev/guard";
/// Its value.
pub const SEALED: &str = "sealed";

/// Bindings and their policies that hold everywhere.
const OBJECTS: [(&str, &str); 8] = [
    ("sealroom-children", "sealroom-children"),
    ("sealroom-claims", "sealroom-claims"),
    ("sealroom-pod-status", "sealroom-pod-status"),
    ("sealroom-pods-artifact", "sealroom-pods"),
    ("sealroom-pods-owner", "sealroom-pods"),
    ("sealroom-pods-sealed", "sealroom-pods"),
    ("sealroom-status", "sealroom-status"),
    ("sealroom-templates", "sealroom-templates"),
];

/// Those that hold in namespaces with the label.
const NAMESPACE: [(&str, &str); 2] = [
    ("sealroom-connections", "sealroom-connections"),
    ("sealroom-mounts", "sealroom-mounts"),
];

/// What of the guard holds in a namespace with these labels.
#[must_use]
pub fn observed<'a>(
    policies: &[&'a ValidatingAdmissionPolicy],
    bindings: &[&'a ValidatingAdmissionPolicyBinding],
    namespace: &BTreeMap<String, String>,
) -> TenantGuard {
    let all = |expected: &[(&str, &str)], within: fn(&MatchResources) -> bool| {
        expected.iter().all(|(binding, policy)| {
            policies.iter().any(|there| refuses(there, policy))
                && bindings
                    .iter()
                    .any(|there| binds(there, binding, policy, within))
        })
    };
    if !all(&OBJECTS, everywhere) {
        return TenantGuard::None;
    }
    let labelled = namespace.get(LABEL).map(String::as_str) == Some(SEALED);
    if labelled && all(&NAMESPACE, where_sealed) {
        TenantGuard::ObjectsAndConnections
    } else {
        TenantGuard::Objects
    }
}

/// It has something to say, and what it cannot evaluate is refused.
fn refuses(policy: &ValidatingAdmissionPolicy, name: &str) -> bool {
    let spec = policy.spec.as_ref();
    policy.metadata.name.as_deref() == Some(name)
        && policy.metadata.deletion_timestamp.is_none()
        && spec.is_some_and(|spec| {
            spec.failure_policy.as_deref() != Some("Ignore")
                && spec
                    .validations
                    .as_ref()
                    .is_some_and(|rules| !rules.is_empty())
        })
}

/// It denies what its policy denies, and nobody took a part of the cluster out of it.
fn binds(
    binding: &ValidatingAdmissionPolicyBinding,
    name: &str,
    policy: &str,
    within: fn(&MatchResources) -> bool,
) -> bool {
    binding.metadata.name.as_deref() == Some(name)
        && binding.metadata.deletion_timestamp.is_none()
        && binding.spec.as_ref().is_some_and(|spec| {
            let actions = spec.validation_actions.as_deref().unwrap_or_default();
            let matched = spec.match_resources.clone().unwrap_or_default();
            spec.policy_name.as_deref() == Some(policy)
                && actions.iter().any(|action| action == "Deny")
                && matched
                    .exclude_resource_rules
                    .is_none_or(|rules| rules.is_empty())
                && matched.resource_rules.is_none_or(|rules| rules.is_empty())
                && spec
                    .match_resources
                    .as_ref()
                    .map_or_else(|| within(&MatchResources::default()), within)
        })
}

fn everywhere(matched: &MatchResources) -> bool {
    (matched.namespace_selector.as_ref())
        .is_none_or(|selector| *selector == LabelSelector::default())
}

fn where_sealed(matched: &MatchResources) -> bool {
    let wanted = BTreeMap::from([(LABEL.to_owned(), SEALED.to_owned())]);
    (matched.namespace_selector.as_ref()).is_some_and(|selector| {
        selector.match_labels.as_ref() == Some(&wanted)
            && selector
                .match_expressions
                .as_ref()
                .is_none_or(Vec::is_empty)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The chart's own, as helm renders them: the chart's tests hold that file to the templates.
    fn rendered() -> Vec<Value> {
        let chart = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/charts/sealroom/tests/golden/default.yaml"
        );
        let text = std::fs::read_to_string(chart).unwrap();
        let all = serde_saphyr::from_multiple::<Value>(&text).unwrap();
        let guard =
            |object: &Value| object["metadata"]["labels"]["app.kubernetes.io/component"] == "guard";
        all.into_iter().filter(guard).collect()
    }

    fn seen(objects: &[Value], labels: &[(&str, &str)]) -> TenantGuard {
        let of = |kind: &str| {
            objects
                .iter()
                .filter(|o| o["kind"] == kind)
                .cloned()
                .collect()
        };
        let policies: Vec<ValidatingAdmissionPolicy> =
            serde_json::from_value(of("ValidatingAdmissionPolicy")).unwrap();
        let bindings: Vec<ValidatingAdmissionPolicyBinding> =
            serde_json::from_value(of("ValidatingAdmissionPolicyBinding")).unwrap();
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        observed(
            &policies.iter().collect::<Vec<_>>(),
            &bindings.iter().collect::<Vec<_>>(),
            &labels.collect(),
        )
    }

    #[test]
    fn the_whole_guard_is_seen_and_every_missing_piece() {
        let all = rendered();
        let sealed = [(LABEL, SEALED)];
        assert_eq!(all.len(), 18);
        assert_eq!(seen(&all, &sealed), TenantGuard::ObjectsAndConnections);
        assert_eq!(seen(&all, &[]), TenantGuard::Objects);
        assert_eq!(seen(&all, &[(LABEL, "open")]), TenantGuard::Objects);
        assert_eq!(seen(&[], &sealed), TenantGuard::None);
        for missing in 0..all.len() {
            let mut rest = all.clone();
            let gone = rest.remove(missing);
            let name = gone["metadata"]["name"].as_str().unwrap();
            let expected = if NAMESPACE.iter().any(|(of, _)| *of == name) {
                TenantGuard::Objects
            } else {
                TenantGuard::None
            };
            assert_eq!(seen(&rest, &sealed), expected, "{name}");
        }
    }

    /// Sets a value in one object; what it is worth is then read.
    #[rstest::rstest]
    #[case::warns("sealroom-children", "validationActions", json!(["Warn", "Audit"]), TenantGuard::None)]
    #[case::another_policy("sealroom-children", "policyName", json!("other"), TenantGuard::None)]
    #[case::fewer_namespaces("sealroom-claims", "matchResources", json!({ "namespaceSelector": { "matchLabels": { "a": "b" } } }), TenantGuard::None)]
    #[case::with_exclusions("sealroom-claims", "matchResources", json!({ "excludeResourceRules": [{ "operations": ["*"] }] }), TenantGuard::None)]
    #[case::as_the_server_defaults("sealroom-claims", "matchResources", json!({ "namespaceSelector": {}, "objectSelector": {} }), TenantGuard::ObjectsAndConnections)]
    #[case::fails_open("sealroom-pods", "failurePolicy", json!("Ignore"), TenantGuard::None)]
    #[case::says_nothing("sealroom-pods", "validations", json!([]), TenantGuard::None)]
    #[case::another_label("sealroom-mounts", "matchResources", json!({ "namespaceSelector": { "matchLabels": { "a": "b" } } }), TenantGuard::Objects)]
    #[case::no_label("sealroom-mounts", "matchResources", json!(null), TenantGuard::Objects)]
    fn a_guard_that_was_weakened_is_not_the_guard(
        #[case] name: &str,
        #[case] field: &str,
        #[case] value: Value,
        #[case] expected: TenantGuard,
    ) {
        let mut all = rendered();
        let spec_has = |object: &&mut Value| {
            object["metadata"]["name"] == name
                && (object["kind"] == "ValidatingAdmissionPolicyBinding")
                    == ["validationActions", "policyName", "matchResources"].contains(&field)
        };
        let object = all.iter_mut().find(spec_has).unwrap();
        object["spec"][field] = value;
        assert_eq!(seen(&all, &[(LABEL, SEALED)]), expected);
    }
}
