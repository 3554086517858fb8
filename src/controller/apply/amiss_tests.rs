//! A Deployment in which something lasts that applying leaves, and what somebody changes beside it.

use serde_json::json;

use super::*;

/// Of two replicas, with one owner, made of one container.
fn wanted() -> Value {
    json!({
        "metadata": { "ownerReferences": [{ "uid": "u" }] },
        "spec": {
            "replicas": 2,
            "template": { "spec": { "containers": [{ "name": "a", "image": "i" }] } },
        },
    })
}

/// The same with this in it: an owner, replicas, a label and annotations in the template, an image.
fn there(change: &Value) -> Value {
    let mut there = wanted();
    if let Some(uid) = change.get("owner") {
        let owners = there["metadata"]["ownerReferences"].as_array_mut();
        owners.unwrap().push(json!({ "uid": uid }));
    }
    if let Some(replicas) = change.get("replicas") {
        there["spec"]["replicas"] = replicas.clone();
    }
    let template = &mut there["spec"]["template"];
    if let Some(label) = change.get("label") {
        template["metadata"]["labels"]["mesh"] = label.clone();
    }
    if let Some(annotations) = change.get("annotations") {
        template["metadata"]["annotations"] = annotations.clone();
    }
    if let Some(image) = change.get("image") {
        template["spec"]["containers"][0]["image"] = image.clone();
    }
    there
}

fn found(change: &Value) -> Vec<Amiss> {
    amiss(&wanted(), &there(change), Compare::Ours)
}

/// What lasts, what is there now, and the worst of that which is looked at.
#[rstest::rstest]
#[case::nothing(json!({}), json!({}), None)]
#[case::what_lasts(json!({ "owner": "v" }), json!({ "owner": "v" }), None)]
#[case::less(json!({ "owner": "v", "replicas": 3 }), json!({ "owner": "v" }), None)]
#[case::a_field(json!({ "owner": "v" }), json!({ "owner": "v", "replicas": 3 }), Some(("spec.replicas", Harm::Lacks)))]
#[case::the_field_that_lasts(json!({ "replicas": 3 }), json!({ "replicas": 4 }), Some(("spec.replicas", Harm::Lacks)))]
#[case::another_owner(json!({ "owner": "v" }), json!({ "owner": "w" }), Some(("metadata.ownerReferences", Harm::Lacks)))]
#[case::a_field_beside_a_label(json!({ "label": "on" }), json!({ "label": "on", "replicas": 3 }), Some(("spec.replicas", Harm::Lacks)))]
#[case::a_label(json!({ "owner": "v" }), json!({ "owner": "v", "label": "on" }), Some(("label mesh was added", Harm::Asks)))]
#[case::another_value(json!({ "label": "on" }), json!({ "label": "off" }), Some(("label mesh was added", Harm::Asks)))]
#[case::a_restart(json!({ "label": "on" }), json!({ "label": "on", "annotations": { "kubectl.kubernetes.io/restartedAt": "now" } }), None)]
#[case::an_annotation(json!({ "label": "on" }), json!({ "label": "on", "annotations": { "inject": "yes" } }), Some(("annotation inject was added", Harm::Asks)))]
fn what_is_changed_is_seen_beside_what_lasts(
    #[case] lasts: Value,
    #[case] now: Value,
    #[case] worst: Option<(&str, Harm)>,
) {
    let besides = Lasting::of(&found(&lasts)).besides(found(&now));
    let besides = besides.first().map(|one| &one.found);
    assert_eq!(besides.map(|one| (one.what.as_str(), one.harm)), worst);
}

#[test]
fn what_makes_pods_unlike_what_is_wanted_never_lasts() {
    let image = json!({ "image": "theirs" });
    let lasting = Lasting::of(&found(&image));
    let besides = lasting.besides(found(&image));
    assert_eq!(
        besides.first().map(|one| one.found.harm),
        Some(Harm::Unlike)
    );
}

/// What was tried, what the answer had, and the worst that was taken back.
#[rstest::rstest]
#[case::a_field(json!({ "replicas": 3 }), json!({}), Some((Harm::Lacks, false)))]
#[case::beside_an_owner(json!({ "owner": "v", "replicas": 3 }), json!({ "owner": "v" }), Some((Harm::Lacks, false)))]
#[case::the_owner_alone(json!({ "owner": "v" }), json!({ "owner": "v" }), None)]
#[case::what_each_write_leaves(json!({ "replicas": 3 }), json!({ "replicas": 3 }), None)]
#[case::what_a_webhook_sets_to_its_own(json!({ "replicas": 3 }), json!({ "replicas": 4 }), Some((Harm::Lacks, false)))]
#[case::a_label(json!({ "label": "on" }), json!({}), Some((Harm::Asks, false)))]
#[case::a_label_that_is_back(json!({ "label": "on" }), json!({ "label": "on" }), None)]
#[case::a_field_beside_that(json!({ "replicas": 3, "label": "on" }), json!({ "label": "on" }), Some((Harm::Lacks, false)))]
#[case::a_field_and_an_image(json!({ "replicas": 3, "image": "theirs" }), json!({}), Some((Harm::Unlike, false)))]
#[case::an_image_that_is_back(json!({ "image": "theirs" }), json!({ "image": "theirs" }), Some((Harm::Unlike, true)))]
#[case::nothing(json!({}), json!({}), None)]
fn the_worst_of_what_was_mended_is_taken_back(
    #[case] tried: Value,
    #[case] left: Value,
    #[case] expected: Option<(Harm, bool)>,
) {
    let taken = taken_back(found(&tried), &found(&left));
    let taken = taken.map(|(found, remains)| (found.harm, remains));
    assert_eq!(taken, expected);
}

/// Somebody scales after the answer to the first of two writes.
#[test]
fn what_is_changed_between_two_writes_is_not_left() {
    let applied =
        found(&json!({ "owner": "v", "label": "on", "annotations": { "inject": "yes" } }));
    let now = found(&json!({ "owner": "v", "label": "on", "replicas": 0 }));
    let left = left(&applied, now);
    let left: Vec<&str> = left.iter().map(|one| one.found.what.as_str()).collect();
    assert_eq!(left, ["metadata.ownerReferences", "label mesh was added"]);
}

/// A policy is looked at as a whole, too: what is added opens it, wherever something else lasts.
#[test]
fn what_is_added_to_a_policy_is_seen_beside_what_lasts() {
    let wanted = json!({ "metadata": { "ownerReferences": [] }, "spec": { "egress": [] } });
    let policy = |added: Value| json!({ "metadata": { "ownerReferences": [{ "uid": "v" }] }, "spec": { "egress": [], "added": added } });
    let found = |added: Value| amiss(&wanted, &policy(added), Compare::WholeSpec);
    let lasting = Lasting::of(&found(json!("a")));
    assert!(lasting.besides(found(json!("a"))).is_empty());
    let besides = lasting.besides(found(json!("b")));
    assert_eq!(besides.len(), 1);
    assert_eq!(besides[0].found, lacking(".spec"));
}
