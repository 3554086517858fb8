//! When the condition of a pod is written, and when it is left alone.

use crate::driver::planner::{Reason, Status};
use crate::driver::view::Condition;

use super::cluster::sealed_pod;
use super::outcome::{assert_sealed, proven};
use super::sim::Sim;

#[test]
fn a_gate_that_is_heard_no_more_goes_stale_here_too() {
    let mut sim = proven();
    sim.gates.get_mut("p").unwrap().deaf = true;
    sim.run(80.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    sim.run(40.0);
    assert_sealed(&sim, Status::Unknown, Reason::EvidenceStale);
    assert!(
        sim.sealed("p")
            .message
            .ends_with("the gate does not answer the operator")
    );
    // Under Serve it stays ready; whether it serves is the gate's to say.
    assert_eq!(sim.conditions().last(), Some(&(true, "EvidenceStale")));
}

#[test]
fn an_operator_that_has_just_started_unreadies_nobody() {
    let mut pod = sealed_pod("p");
    pod.condition = Some(Condition {
        status: "True".into(),
        reason: "NoEgress".into(),
        since: "2026-01-01T00:00:00Z".into(),
    });
    let mut sim = Sim::new(vec![pod]);
    sim.gates.get_mut("p").unwrap().deaf = true;
    sim.run(60.0);
    assert!(sim.conditions().is_empty());
}

#[test]
fn a_condition_that_somebody_else_wrote_last_is_written_again() {
    let mut sim = proven();
    sim.actions.clear();
    let condition = sim.view.pods[0].condition.as_mut().unwrap();
    condition.reason = "EvidenceStale".into();
    sim.run(1.0);
    assert_eq!(sim.conditions(), [(true, "NoEgress")]);
}

#[test]
fn a_condition_that_is_refused_is_tried_again_ever_more_rarely() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.refuses = true;
    sim.run(120.0);
    let tries = sim.conditions().len();
    assert!((6..=10).contains(&tries), "{tries}");
    sim.refuses = false;
    sim.run(30.0);
    assert_eq!(sim.conditions().last(), Some(&(true, "NoEgress")));
    assert_eq!(sim.conditions().len(), tries + 1);
}
