//! Which nodes the scheduler may choose for a pod, as far as labels, names and lasting taints decide it.

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration,
};
use kube::ResourceExt;

/// Whether the pod's node selector, its required node affinity and the node's taints leave the node to it.
#[must_use]
pub fn may_run(node: &Node, pod: &PodSpec) -> bool {
    let labels = node.labels();
    let mut wanted = pod.node_selector.iter().flatten();
    wanted.all(|(key, value)| labels.get(key) == Some(value))
        && terms(pod).is_none_or(|terms| terms.iter().any(|term| matches(node, term)))
        && taints(node).all(|taint| {
            let mut tolerations = pod.tolerations.iter().flatten();
            tolerations.any(|toleration| tolerates(toleration, taint))
        })
}

fn terms(pod: &PodSpec) -> Option<&[NodeSelectorTerm]> {
    let affinity = pod.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity
        .required_during_scheduling_ignored_during_execution
        .as_ref()?;
    Some(&required.node_selector_terms)
}

/// A term without requirements matches nothing (core/v1, `NodeSelectorTerm`).
fn matches(node: &Node, term: &NodeSelectorTerm) -> bool {
    let labels = term.match_expressions.iter().flatten();
    let fields = term.match_fields.iter().flatten();
    let name = node.name_any();
    let mut all = labels
        .map(|requirement| {
            let value = node.labels().get(&requirement.key);
            holds(requirement, value.map(String::as_str))
        })
        .chain(fields.map(|requirement| {
            let value = (requirement.key == "metadata.name").then_some(name.as_str());
            holds(requirement, value)
        }))
        .peekable();
    all.peek().is_some() && all.all(|one| one)
}

fn holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let listed = |value: &str| requirement.values.iter().flatten().any(|one| one == value);
    let against = |compare: fn(&i64, &i64) -> bool| {
        let bound = requirement.values.iter().flatten().next();
        let bound = bound.and_then(|text| text.parse().ok());
        let value = value.and_then(|text| text.parse().ok());
        value.zip(bound).is_some_and(|(a, b)| compare(&a, &b))
    };
    match requirement.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => against(i64::gt),
        "Lt" => against(i64::lt),
        // An operator of a later Kubernetes: the scheduler decides, we do not refuse.
        _ => true,
    }
}

/// Taints that keep pods away for good. Those of the node's own controller come and go with its health.
fn taints(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|taint| {
        matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute")
            && !taint.key.starts_with("node.kubernetes.io/")
    })
}

/// An empty effect or key means every one (core/v1, `Toleration`).
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (effect, key) = (text(&toleration.effect), text(&toleration.key));
    if !(effect.is_empty() || effect == taint.effect) || !(key.is_empty() || key == taint.key) {
        return false;
    }
    match toleration.operator.as_deref() {
        None | Some("" | "Equal") => {
            !key.is_empty() && text(&toleration.value) == text(&taint.value)
        }
        Some("Exists") => true,
        // An operator of a later Kubernetes: the scheduler decides, we do not refuse.
        Some(_) => true,
    }
}
