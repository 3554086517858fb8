//! Policies that allow more than the object declares, before any packet says so.

use crate::driver::planner::{Reason, Status};
use crate::seal::wire::State;

use super::cluster::{NARROW, SEALED, WIDE, policy, sealed_pod};
use super::outcome::{assert_sealed, proven};
use super::sim::Sim;

#[test]
fn a_policy_that_no_probe_could_notice_closes_at_once_and_its_removal_opens() {
    let mut sim = proven();
    sim.gates.get_mut("p").unwrap().runtime_ran = true;
    sim.view.policies.push(policy("hole", NARROW));
    sim.step();
    assert_eq!(sim.state("p"), State::Open);
    assert_sealed(&sim, Status::False, Reason::PolicyWidens);
    assert!(
        sim.sealed("p")
            .message
            .contains("team-a/hole lets this pod send to 203.0.113.7/32")
    );
    sim.run(30.0);
    assert_eq!((sim.deletions(), sim.events()), (1, vec!["PolicyWidens"]));
    sim.view.policies.pop();
    sim.run(5.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    assert_eq!(
        sim.conditions(),
        [
            (false, "Proving"),
            (true, "NoEgress"),
            (false, "PolicyWidens"),
            (true, "NoEgress")
        ]
    );
    assert_eq!(sim.deletions(), 1);
}

#[test]
fn a_hole_that_was_mended_counts_until_the_gate_was_heard_again() {
    let mut sim = proven();
    sim.gates.get_mut("p").unwrap().deaf = true;
    sim.view.policies.push(policy("hole", NARROW));
    sim.step();
    sim.now += std::time::Duration::from_millis(50);
    sim.view.policies.pop();
    sim.run(10.0);
    assert_sealed(&sim, Status::False, Reason::PolicyWidens);
    sim.gates.get_mut("p").unwrap().deaf = false;
    sim.run(11.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
}

#[test]
fn narrowing_the_object_gives_the_policy_time_to_follow() {
    let edge = |port: u16| {
        let spec = format!(
            "{{podSelector: {{}}, policyTypes: [Ingress], ingress: [{{from: [{{podSelector: {{}}}}], ports: [{{port: {port}}}]}}]}}"
        );
        policy(&format!("sealroom-edge-{port}"), &spec)
    };
    let mut sim = proven();
    for port in [8080, 9090] {
        sim.owners.0.push(edge(port));
        sim.view.policies.push(edge(port));
    }
    sim.run(20.0);
    // Twice, so that what was declared first counts no less than what was declared last.
    sim.owners.0.pop();
    sim.run(1.0);
    sim.owners.0.pop();
    sim.run(3.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    // Nobody narrowed it: that is a widening then.
    sim.run(3.0);
    assert_sealed(&sim, Status::False, Reason::PolicyWidens);
}

#[test]
fn an_operator_that_has_just_started_narrows_its_own_policy_before_it_convicts() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    // Wider than the object declares now: somebody narrowed the object while no operator ran.
    sim.view.policies = vec![policy("sealroom-sealed", WIDE)];
    sim.run(4.0);
    assert_sealed(&sim, Status::Unknown, Reason::Proving);
    assert!(sim.gates["p"].machine.opening().is_none());
    sim.run(4.0);
    assert_sealed(&sim, Status::False, Reason::PolicyWidens);
}

#[test]
fn the_shared_policy_deleted_is_not_isolated() {
    let mut sim = proven();
    sim.view.policies.clear();
    sim.step();
    assert_eq!(sim.state("p"), State::Open);
    assert!(
        sim.sealed("p")
            .message
            .starts_with("no NetworkPolicy isolates this pod for egress")
    );
    sim.view.policies.push(policy("sealroom-sealed", SEALED));
    sim.run(5.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
}

#[test]
fn a_pod_that_lost_its_label_is_altered_and_shut() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.run(10.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    sim.view.pods[0].pod.labels.remove("sealroom.dev/sealed");
    sim.view.pods[0].unlabelled = true;
    sim.run(2.0);
    assert_sealed(&sim, Status::False, Reason::PodAltered);
    assert_eq!(sim.state("p"), State::Open);
}

#[test]
fn terminating_pods_are_challenged_to_their_end_and_not_deleted_again() {
    let mut sim = proven();
    sim.gates.get_mut("p").unwrap().runtime_ran = true;
    sim.view.pods[0].terminating = true;
    sim.view.policies.push(policy("hole", WIDE));
    sim.step();
    assert_eq!(sim.state("p"), State::Open);
    assert_eq!(sim.deletions(), 0);
}
