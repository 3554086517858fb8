//! What proves a pod, and what a proven pod shows beside its seal.

use crate::driver::planner::{Reason, Status};
use crate::driver::view::PodKind;
use crate::seal::wire::{RuntimeFault, State};

use super::cluster::{WIDE, policy, sealed_pod};
use super::outcome::assert_sealed;
use super::sim::Sim;

#[test]
fn a_pod_is_proven_by_five_rounds_over_three_seconds_and_written_once() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.run(2.9);
    assert_sealed(&sim, Status::Unknown, Reason::Proving);
    assert_eq!(sim.state("p"), State::Unproven);
    sim.run(1.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    assert_eq!(sim.gates["p"].challenges.len(), 5);
    sim.run(600.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    assert_eq!(sim.conditions(), [(false, "Proving"), (true, "NoEgress")]);
    let rounds = sim.gates["p"].challenges.len();
    assert!(
        (20..=26).contains(&rounds),
        "{rounds} rounds in ten minutes"
    );
}

#[test]
fn a_pull_pod_is_judged_by_policies_alone() {
    let mut pod = sealed_pod("p");
    pod.kind = PodKind::Ungated;
    let mut sim = Sim::new(vec![pod]);
    sim.run(10.0);
    assert!(sim.gates["p"].challenges.is_empty());
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    assert!(
        sim.sealed("p")
            .message
            .contains("enforcement is not proven")
    );
    sim.view.policies.push(policy("hole", WIDE));
    sim.step();
    assert_sealed(&sim, Status::False, Reason::PolicyWidens);
    assert!(sim.conditions().is_empty());
}

#[test]
fn a_pod_of_an_unknown_object_is_not_proven() {
    let mut pod = sealed_pod("p");
    pod.owner_uid = "somebody".to_owned();
    let mut sim = Sim::new(vec![pod]);
    sim.run(20.0);
    assert_eq!(sim.state("p"), State::Unproven);
    assert_sealed(&sim, Status::Unknown, Reason::Proving);
}

#[test]
fn the_own_node_is_reported_and_convicts_only_where_required() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.leaks = |target| target.name.starts_with("own-node/");
    sim.run(10.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    let notes = &sim.seals["p"].notes;
    assert!(
        notes.contains(&"ownNode: reached at 172.20.0.1:10250".to_owned()),
        "{notes:?}"
    );
}

#[test]
fn kinds_of_policy_that_nobody_evaluates_are_named() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.view.foreign = vec!["ciliumnetworkpolicies.cilium.io".to_owned()];
    sim.run(10.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    let note = "ciliumnetworkpolicies.cilium.io: not evaluated".to_owned();
    assert!(sim.seals["p"].notes.contains(&note));
}

#[rstest::rstest]
#[case::none(None, true, None)]
#[case::ended(Some(RuntimeFault::Ended), false, Some(RuntimeFault::Ended))]
#[case::killed(Some(RuntimeFault::Ended), true, Some(RuntimeFault::OutOfMemory))]
#[case::killed_each_time(Some(RuntimeFault::Failing), true, Some(RuntimeFault::OutOfMemory))]
#[case::hangs(Some(RuntimeFault::Hangs), true, Some(RuntimeFault::Hangs))]
#[case::lies(Some(RuntimeFault::Answers), false, Some(RuntimeFault::Answers))]
fn the_kubelet_knows_why_a_container_died(
    #[case] said: Option<RuntimeFault>,
    #[case] engine_oom: bool,
    #[case] expected: Option<RuntimeFault>,
) {
    let mut pod = sealed_pod("p");
    pod.engine_oom = engine_oom;
    let mut sim = Sim::new(vec![pod]);
    sim.gates.get_mut("p").unwrap().runtime_fault = said;
    sim.run(15.0);
    assert_eq!(sim.fault("p"), expected);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
}
