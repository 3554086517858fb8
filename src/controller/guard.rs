//! The tenant guard as the cluster has it: admission policies and bindings of the chart, observed and not assumed.
//!
//! Nobody tells the operator whether the guard is on. It looks for every policy and every binding by name and sees
//! whether they refuse (`admissionregistration.k8s.io/v1`, KEP-3488), and whether their rules are those of its version.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::names::{self, ARTIFACT, OWNER_UID};
use crate::api::model_deployment::TenantGuard;

mod rules;

/// Selects the chart's policies and bindings.
pub const SELECTOR: &str = "app.kubernetes.io/name=sealroom,app.kubernetes.io/component=guard";
/// The label of namespaces into whose pods nothing leads but the network.
pub const LABEL: &str = "sealroom.dev/guard";
/// Its value.
pub const SEALED: &str = "sealed";

/// A binding, its policy, and the label of the objects that it holds for, if not for all.
type Piece = (&'static str, &'static str, Option<&'static str>);

/// What holds everywhere.
const OBJECTS: [Piece; 8] = [
    ("sealroom-children", "sealroom-children", None),
    ("sealroom-claims", "sealroom-claims", None),
    ("sealroom-pod-status", "sealroom-pod-status", None),
    ("sealroom-pods-artifact", "sealroom-pods", Some(ARTIFACT)),
    ("sealroom-pods-owner", "sealroom-pods", Some(OWNER_UID)),
    ("sealroom-pods-sealed", "sealroom-pods", Some(names::SEALED)),
    ("sealroom-status", "sealroom-status", None),
    ("sealroom-templates", "sealroom-templates", None),
];

/// What holds in namespaces with the label.
const NAMESPACE: [Piece; 2] = [
    ("sealroom-connections", "sealroom-connections", None),
    ("sealroom-mounts", "sealroom-mounts", None),
];

/// What of the guard holds in a namespace with these labels.
#[must_use]
pub fn observed<'a>(
    policies: &[&'a ValidatingAdmissionPolicy],
    bindings: &[&'a ValidatingAdmissionPolicyBinding],
    namespace: &BTreeMap<String, String>,
) -> TenantGuard {
    // Where the operator is, by the rules: whoever has its name in another namespace would be let through.
    let mut operators = BTreeSet::new();
    let mut all = |expected: &[Piece], within: fn(&MatchResources) -> bool| {
        expected.iter().all(|piece| {
            let mut policies = policies.iter();
            let Some(named) = policies.find_map(|there| refuses(there, piece.1)) else {
                return false;
            };
            operators.extend(named);
            bindings.iter().any(|there| binds(there, piece, within))
        })
    };
    if !all(&OBJECTS, everywhere) {
        return TenantGuard::None;
    }
    let connections = all(&NAMESPACE, where_sealed);
    if operators.len() > 1 {
        return TenantGuard::None;
    }
    let labelled = namespace.get(LABEL).map(String::as_str) == Some(SEALED);
    if labelled && connections {
        TenantGuard::ObjectsAndConnections
    } else {
        TenantGuard::Objects
    }
}

/// It has the rules of the chart, and what it cannot evaluate is refused: the namespaces in which it says that the
/// operator is.
fn refuses(policy: &ValidatingAdmissionPolicy, name: &str) -> Option<BTreeSet<String>> {
    let spec = policy.spec.as_ref()?;
    let there = policy.metadata.name.as_deref() == Some(name)
        && policy.metadata.deletion_timestamp.is_none()
        && spec.failure_policy.as_deref() != Some("Ignore");
    there.then(|| rules::shipped(name, spec)).flatten()
}

/// It denies what its policy denies, and nobody took a part of the cluster out of it.
fn binds(
    binding: &ValidatingAdmissionPolicyBinding,
    (name, policy, label): &Piece,
    within: fn(&MatchResources) -> bool,
) -> bool {
    binding.metadata.name.as_deref() == Some(*name)
        && binding.metadata.deletion_timestamp.is_none()
        && binding.spec.as_ref().is_some_and(|spec| {
            let actions = spec.validation_actions.as_deref().unwrap_or_default();
            let matched = spec.match_resources.clone().unwrap_or_default();
            spec.policy_name.as_deref() == Some(*policy)
                && actions.iter().any(|action| action == "Deny")
                && matched.object_selector.clone().unwrap_or_default() == with(*label)
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

/// Selects the objects with a label, or all.
fn with(label: Option<&str>) -> LabelSelector {
    LabelSelector {
        match_expressions: label.map(|key| {
            vec![LabelSelectorRequirement {
                key: key.to_owned(),
                operator: "Exists".to_owned(),
                values: None,
            }]
        }),
        match_labels: None,
    }
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
            let expected = if NAMESPACE.iter().any(|(of, ..)| *of == name) {
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
    #[case::another_rule("sealroom-pods", "validations", json!([{ "expression": "true" }]), TenantGuard::None)]
    #[case::another_rule_of_sealed_namespaces("sealroom-connections", "validations", json!([{ "expression": "1 == 1" }]), TenantGuard::Objects)]
    #[case::fewer_resources("sealroom-children", "matchConstraints", json!({ "resourceRules": [] }), TenantGuard::None)]
    #[case::fewer_objects("sealroom-pods-sealed", "matchResources", json!({ "objectSelector": { "matchLabels": { "a": "b" } } }), TenantGuard::None)]
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
