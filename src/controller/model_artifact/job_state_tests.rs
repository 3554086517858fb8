use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

fn job(kind: Option<&str>) -> Job {
    let conditions: Vec<Value> = kind
        .iter()
        .map(|kind| json!({ "type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" }))
        .collect();
    serde_json::from_value(json!({
        "metadata": { "name": "m-pull-1", "uid": "job" }, "status": { "conditions": conditions },
    }))
    .unwrap()
}

fn pod(owner: &str, state: Value) -> Arc<Pod> {
    let pod = json!({
        "metadata": { "name": "m-pull-1-x", "ownerReferences": [{
            "apiVersion": "batch/v1", "kind": "Job", "name": "m-pull-1", "uid": owner }] },
        "status": { "podIP": "192.0.2.1", "containerStatuses": [{
            "name": "pull", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": state }] },
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn said(exit: i32, message: &Value) -> Value {
    json!({ "terminated": { "exitCode": exit, "message": message.to_string() } })
}

fn failed(reason: &str) -> Value {
    json!({ "v": 1, "result": "Failed", "reason": reason, "message": "why\u{7}", "artifact": null })
}

#[rstest::rstest]
#[case::refused("DigestMismatch", Reason::DigestMismatch)]
#[case::unknown_word("Whatever", Reason::JobFailed)]
fn a_failure_has_the_reason_that_the_pull_gave(#[case] word: &str, #[case] expected: Reason) {
    let pods = [pod("job", said(3, &failed(word)))];
    let JobState::Failed {
        reason, message, ..
    } = inspect(&job(Some("Failed")), &pods)
    else {
        panic!("not failed");
    };
    assert_eq!((reason, message.as_str()), (expected, "why"));
}

#[test]
fn the_pod_of_another_job_has_no_say() {
    let pods = [pod("somebody", said(0, &failed("Verified")))];
    assert!(matches!(
        inspect(&job(Some("Complete")), &pods),
        JobState::Lost
    ));
}

#[rstest::rstest]
#[case::today(
    "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, 1 node(s) had untolerated taint(s).",
    Reason::ClaimNodeMismatch
)]
#[case::before(
    "0/1 nodes are available: 1 node(s) had volume node affinity conflict.",
    Reason::ClaimNodeMismatch
)]
#[case::full(
    "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match PersistentVolume's node affinity.",
    Reason::Progressing
)]
#[case::cordoned(
    "0/2 nodes are available: 1 node(s) were unschedulable, 1 node(s) had volume node affinity conflict.",
    Reason::Progressing
)]
fn a_volume_elsewhere_is_told_from_what_passes(#[case] words: &str, #[case] expected: Reason) {
    let mut pod = Pod::default();
    let condition = json!({"type": "PodScheduled", "status": "False", "message": words});
    let status = json!({"conditions": [condition]});
    pod.status = serde_json::from_value(status).unwrap();
    assert_eq!(trouble(&pod).unwrap().0, expected);
}

#[test]
fn a_running_pull_has_an_address_and_a_waiting_one_a_word() {
    let running = [pod("job", json!({ "running": {} }))];
    let JobState::Running { address, trouble } = inspect(&job(None), &running) else {
        panic!("not running");
    };
    assert_eq!((address.as_deref(), trouble), (Some("192.0.2.1"), None));
    let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": "secret text" } });
    let JobState::Running { address, trouble } = inspect(&job(None), &[pod("job", waiting)]) else {
        panic!("not running");
    };
    assert_eq!(address, None);
    assert_eq!(trouble.unwrap().1, "pod m-pull-1-x waits: ErrImagePull");
}
