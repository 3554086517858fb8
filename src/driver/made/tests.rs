//! What a pod is held to: in a steady state, in a rollout, and by an operator that has just begun to lead.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{Looks, Made};

const OWNER: &str = "owner";

/// Seconds of the cluster's clock; operators begin at 1,000.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn spec(image: &str) -> Value {
    json!({ "containers": [{ "name": "runtime", "image": image }] })
}

fn deployment(image: &str, updated: i32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": { "name": "assistant", "generation": 3 },
        "spec": { "selector": {}, "template": { "spec": spec(image) } },
        "status": { "observedGeneration": 3, "replicas": 2, "updatedReplicas": updated },
    }))
    .unwrap()
}

/// An operator and what it sees.
struct Operator {
    made: Made,
    looks: Looks,
}

impl Operator {
    fn new() -> Self {
        let made = Made::default();
        let looks = Looks::new(made.clone());
        Self { made, looks }
    }

    /// One that wants this, and finds all pods to be of it.
    fn settled(image: &str) -> Self {
        let operator = Self::new();
        operator.wants(image, Some(&deployment(image, 2)));
        operator
    }

    fn wants(&self, image: &str, there: Option<&Deployment>) {
        let wanted = deployment(image, 0);
        self.made.note(OWNER, &wanted, there, at(1_000));
    }

    fn look(&mut self, pod: &Value) -> Option<String> {
        let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
        self.looks.look(&pod, OWNER)
    }
}

/// A pod of a revision with an image, made at that second, and proven.
fn pod(name: &str, revision: &str, image: &str, created: i64) -> Value {
    json!({
        "metadata": {
            "name": name, "uid": name, "resourceVersion": "1", "creationTimestamp": at(created).to_string(),
            "labels": { "pod-template-hash": revision },
        },
        "spec": spec(image),
        "status": { "conditions": [{ "type": "sealroom.dev/sealed", "status": "True" }] },
    })
}

fn unproven(mut pod: Value) -> Value {
    pod["status"] = json!({});
    pod
}

fn altered(mut pod: Value) -> Value {
    pod["metadata"]["resourceVersion"] = "2".into();
    pod["spec"]["containers"][0]["image"] = "theirs".into();
    pod
}

fn debugged(mut pod: Value) -> Value {
    pod["metadata"]["resourceVersion"] = "3".into();
    pod["spec"]["ephemeralContainers"] = json!([{ "name": "sh", "image": "sh" }]);
    pod
}

#[test]
fn a_pod_is_as_it_was_made_until_somebody_changes_it() {
    let mut operator = Operator::settled("new");
    let pod = pod("p", "n", "new", 1_010);
    assert_eq!(operator.look(&pod), None);
    let text = operator.look(&altered(pod.clone())).unwrap();
    assert_eq!(text, "container runtime: image is theirs, not new");
    // What was put back is as it was made: that it was altered the planner remembers.
    let mut back = pod;
    back["metadata"]["resourceVersion"] = "3".into();
    assert_eq!(operator.look(&back), None);
}

#[test]
fn one_that_was_never_as_it_was_made_is_found_at_once() {
    let mut operator = Operator::new();
    operator.wants("new", None);
    let injected = altered(unproven(pod("p", "n", "new", 1_010)));
    assert!(operator.look(&injected).is_some());
}

#[test]
fn before_anything_was_made_only_what_no_version_makes_is_found() {
    let mut operator = Operator::new();
    let pod = pod("p", "n", "new", 10);
    assert_eq!(operator.look(&altered(pod.clone())), None);
    let text = operator.look(&debugged(pod)).unwrap();
    assert!(text.starts_with("ephemeral container sh"), "{text}");
}

#[test]
fn what_was_altered_while_no_operator_led_is_found_where_no_rollout_is_under_way() {
    let mut operator = Operator::settled("new");
    assert!(operator.look(&altered(pod("p", "n", "new", 10))).is_some());
}

#[test]
fn pods_of_every_template_that_this_operator_wanted_are_good() {
    let mut operator = Operator::settled("old");
    assert_eq!(operator.look(&pod("o", "o", "old", 10)), None);
    operator.wants("new", Some(&deployment("old", 2)));
    assert_eq!(operator.look(&pod("o", "o", "old", 10)), None);
    assert_eq!(operator.look(&pod("n", "n", "new", 1_010)), None);
    let text = operator.look(&altered(pod("x", "x", "new", 1_020)));
    assert!(text.is_some());
    // Back to what was before.
    operator.wants("old", Some(&deployment("new", 2)));
    assert_eq!(operator.look(&pod("b", "o", "old", 1_030)), None);
}

/// An upgrade of the operator: what its predecessor made it does not know.
#[test]
fn pods_of_a_rollout_that_began_before_this_operator_are_held_to_what_they_were() {
    let mut operator = Operator::new();
    operator.wants("new", Some(&deployment("old", 2)));
    let old = pod("o", "o", "old", 10);
    assert_eq!(operator.look(&old), None);
    // Another one of that revision, which the Deployment controller makes anew when one is evicted.
    assert_eq!(operator.look(&unproven(pod("a", "o", "old", 1_010))), None);
    assert!(
        operator
            .look(&altered(pod("b", "o", "old", 1_020)))
            .is_some()
    );
    assert!(operator.look(&altered(old.clone())).is_some());
    assert!(operator.look(&debugged(old)).is_some());
}

#[test]
fn an_old_pod_that_was_not_proven_yet_is_not_taken_for_an_altered_one() {
    let mut operator = Operator::new();
    operator.wants("new", Some(&deployment("old", 2)));
    let starting = unproven(pod("o", "o", "old", 990));
    assert_eq!(operator.look(&starting), None);
    // Nor does it say what others are like.
    let other = altered(unproven(pod("p", "o", "old", 991)));
    assert_eq!(operator.look(&other), None);
    // Once all are of the new template there is no old one, but those that end.
    operator.wants("new", Some(&deployment("new", 2)));
    assert!(operator.look(&other).is_some());
    let mut ending = starting;
    ending["metadata"]["deletionTimestamp"] = at(1_100).to_string().into();
    assert_eq!(operator.look(&ending), None);
}

/// A webhook altered it while nobody led: that this operator proved it does not make it what was made.
#[test]
fn a_pod_that_this_operator_proved_itself_says_nothing_of_others() {
    let mut operator = Operator::new();
    operator.wants("new", Some(&deployment("new", 1)));
    let injected = altered(pod("i", "n", "new", 990));
    assert_eq!(operator.look(&unproven(injected.clone())), None);
    let mut proven = injected;
    proven["metadata"]["resourceVersion"] = "3".into();
    assert_eq!(operator.look(&proven), None);
    let next = altered(pod("j", "n", "new", 1_010));
    assert!(operator.look(&next).is_some());
    // Nor of itself, once no old pod is left.
    operator.wants("new", Some(&deployment("new", 2)));
    assert!(operator.look(&proven).is_some());
}

#[test]
fn a_pod_whose_revision_somebody_changed_is_still_what_it_was() {
    let mut operator = Operator::new();
    operator.wants("new", Some(&deployment("old", 2)));
    assert_eq!(operator.look(&pod("n", "n", "new", 10)), None);
    let mut moved = altered(pod("n", "n", "new", 10));
    moved["metadata"]["labels"]["pod-template-hash"] = "another".into();
    assert!(operator.look(&moved).is_some());
}

/// Whoever may change pods may change the Deployment too.
#[test]
fn a_deployment_that_somebody_changed_is_no_template() {
    let mut operator = Operator::settled("new");
    operator.wants("new", Some(&deployment("theirs", 2)));
    assert!(operator.look(&pod("x", "x", "theirs", 1_010)).is_some());
    // And an operator that finds it so does not take its pods for those of a finished rollout.
    let mut next = Operator::new();
    next.wants("new", Some(&deployment("theirs", 2)));
    assert!(next.look(&pod("y", "y", "theirs", 1_010)).is_some());
}

#[test]
fn a_pod_is_looked_at_again_when_it_or_what_was_made_changes() {
    let mut operator = Operator::new();
    let pod = pod("p", "n", "new", 1_010);
    let version = operator.looks.version();
    assert_eq!(operator.look(&pod), None);
    operator.wants("newer", None);
    assert_ne!(operator.looks.version(), version);
    assert!(operator.look(&pod).is_some());
    operator.wants("new", None);
    assert_eq!(operator.look(&pod), None);
    // Nothing new is noted of what is as it was.
    let version = operator.looks.version();
    operator.wants("new", None);
    assert_eq!(operator.look(&pod), None);
    assert_eq!(operator.looks.version(), version);
}

/// Somebody tries one template after the other, none of which serves, while the first one's pod does.
#[test]
fn a_pod_of_the_first_of_many_templates_is_still_what_was_made() {
    let mut operator = Operator::settled("0");
    let first = pod("first", "0", "0", 1_010);
    assert_eq!(operator.look(&first), None);
    for index in 1..100 {
        let image = index.to_string();
        operator.wants(&image, None);
        assert_eq!(operator.look(&first), None, "{index}");
        assert_eq!(operator.look(&pod("p", &image, &image, 1_020)), None);
    }
    assert!(operator.look(&altered(first)).is_some());
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut operator = Operator::settled("0");
    for index in 1..100 {
        operator.wants(&index.to_string(), None);
        let pod = pod("p", &index.to_string(), &index.to_string(), 1_010);
        assert_eq!(operator.look(&pod), None);
    }
    let state = operator.made.state();
    let object = &state.objects[OWNER];
    assert_eq!(object.templates.len(), super::MAX_TEMPLATES);
    assert_eq!(object.revisions.len(), super::MAX_REVISIONS);
    drop(state);
    operator.made.sweep(|_| false);
    assert!(operator.made.state().objects.is_empty());
}
