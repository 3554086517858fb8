use serde_json::json;

use super::*;
use crate::api::ModelDeploymentStatus;
use crate::driver::view::PodKind;
use crate::driver::{Reason as R, Sealed, Status as S};

fn pod(name: &str, status: S, reason: R, locks: &[&str]) -> Arc<PodSeal> {
    Arc::new(PodSeal {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
        uid: name.to_owned(),
        owner_uid: "owner".to_owned(),
        kind: PodKind::Gated,
        sealed: Sealed {
            status,
            reason,
            message: name.to_owned(),
        },
        state: None,
        locks: locks.iter().map(|lock| (*lock).to_owned()).collect(),
        opening: None,
        report: None,
        runtime_fault: None,
        closure: None,
        last_proven: None,
        policies: Vec::new(),
        notes: Vec::new(),
    })
}

fn proven(name: &str) -> Arc<PodSeal> {
    pod(name, S::True, R::NoEgress, &["Kernel", "NetworkPolicy"])
}

#[rstest::rstest]
#[case::none(vec![], Truth::Unknown, Reason::Proving)]
#[case::proven(vec![proven("a")], Truth::True, Reason::NoEgress)]
#[case::first(vec![pod("a", S::Unknown, R::Proving, &[])], Truth::Unknown, Reason::Proving)]
#[case::rollout(vec![proven("a"), pod("b", S::Unknown, R::Proving, &[])], Truth::True, Reason::NoEgress)]
#[case::control(vec![proven("a"), pod("b", S::Unknown, R::ControlFailed, &[])], Truth::Unknown, Reason::ControlFailed)]
#[case::open(vec![proven("a"), pod("b", S::False, R::PolicyWidens, &[]), pod("c", S::False, R::EgressOpen, &[])], Truth::False, Reason::EgressOpen)]
fn the_worst_pod_speaks(
    #[case] pods: Vec<Arc<PodSeal>>,
    #[case] truth: Truth,
    #[case] reason: Reason,
) {
    let view = SealView::of(&pods);
    assert_eq!((view.truth, view.reason), (truth, reason));
}

#[rstest::rstest]
#[case::proven("True", Some(Reason::NoEgress))]
#[case::open("False", None)]
#[case::unknown("Unknown", None)]
fn only_a_stored_proof_is_remembered(#[case] status: &str, #[case] reason: Option<Reason>) {
    let stored = serde_json::json!({
        "conditions": [{
            "type": "Sealed", "status": status, "reason": "NoEgress", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
        "seal": { "locks": ["Kernel"] },
    });
    let stored: ModelDeploymentStatus = serde_json::from_value(stored).unwrap();
    let view = SealView::stored(&stored.conditions, stored.seal.as_ref());
    assert_eq!(view.as_ref().map(|view| view.reason), reason);
    assert!(view.is_none_or(|view| view.locks == ["Kernel"]));
}

/// A gate that says of which models it lacks the key.
fn lacking(name: &str, status: S, ports: &[u16]) -> Arc<PodSeal> {
    let mut pod = PodSeal::clone(&pod(name, status, R::Proving, &[]));
    let lack = ports
        .iter()
        .map(|port| json!({ "port": port, "what": "key" }));
    let report = json!({
        "v": 1, "sealed": false, "podUID": name, "session": "0".repeat(32), "checkedAt": "", "state": "unproven",
        "closure": "unknown", "locks": [], "targets": [], "modelsLack": lack.collect::<Vec<_>>(),
    });
    pod.report = Some(Arc::new(serde_json::from_value(report).unwrap()));
    Arc::new(pod)
}

#[rstest::rstest]
#[case::nobody(vec![], None)]
#[case::unheard(vec![pod("a", S::Unknown, R::Proving, &[])], None)]
#[case::all_there(vec![lacking("a", S::Unknown, &[]), pod("b", S::Unknown, R::Proving, &[])], Some(vec![]))]
#[case::of_any(vec![lacking("a", S::Unknown, &[11_501]), lacking("b", S::Unknown, &[11_500, 11_501])], Some(vec![11_500, 11_501]))]
fn what_any_gate_lacks_is_lacking(
    #[case] pods: Vec<Arc<PodSeal>>,
    #[case] ports: Option<Vec<u16>>,
) {
    let lacks = SealView::of(&pods).models_lack;
    let said = lacks.map(|lacks| lacks.iter().map(|lack| lack.port).collect::<Vec<_>>());
    assert_eq!(said, ports);
}

#[test]
fn a_lock_holds_when_it_holds_everywhere() {
    let pods = [
        proven("a"),
        pod("b", S::True, R::NoEgress, &["NetworkPolicy"]),
    ];
    assert_eq!(SealView::of(&pods).locks, ["NetworkPolicy"]);
}
