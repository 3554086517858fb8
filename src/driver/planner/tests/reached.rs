//! Packets that got out, and the policies that explain them.

use crate::driver::planner::{Reason, Status};
use crate::seal::wire::{Proto, State};

use super::cluster::{NARROW, WIDE, policy, sealed_pod};
use super::outcome::{assert_sealed, proven};
use super::sim::Sim;

#[test]
fn a_pod_whose_runtime_never_ran_is_never_deleted() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.view.policies.push(policy("hole", WIDE));
    sim.leaks = |_| true;
    sim.run(60.0);
    assert_eq!(sim.deletions(), 0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
}

#[test]
fn what_got_out_is_open_when_a_policy_explains_it_and_not_enforced_when_none_does() {
    let mut sim = proven();
    sim.leaks = |target| target.name.starts_with("canary/");
    sim.run(35.0);
    assert_sealed(&sim, Status::False, Reason::NotEnforced);
    assert!(sim.sealed("p").message.contains("canary/own-node/tcp4"));
    // A policy that allows something else explains nothing …
    sim.view.policies.push(policy("hole", NARROW));
    sim.run(1.0);
    assert_sealed(&sim, Status::False, Reason::NotEnforced);
    // … and one that allows it does, and is named.
    sim.view.policies.push(policy("hole", WIDE));
    sim.run(1.0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
    assert!(sim.sealed("p").message.contains("team-a/hole"));
    assert_eq!(sim.events(), ["NotEnforced", "EgressOpen"]);
}

#[rstest::rstest]
#[case::seen_by_the_gate(false, "canary/own-node/tcp4")]
#[case::seen_by_canaries_alone(true, "canary canary-1 over TCP")]
fn a_way_out_that_outlasts_the_policy_that_explained_it_is_the_networks(
    #[case] one_way: bool,
    #[case] named: &str,
) {
    let mut sim = proven();
    sim.leaks = |target| target.name.starts_with("canary/");
    sim.one_way = one_way;
    sim.view.policies.push(policy("hole", WIDE));
    sim.run(35.0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
    sim.view.policies.pop();
    sim.run(20.0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
    sim.run(40.0);
    assert_sealed(&sim, Status::False, Reason::NotEnforced);
    let message = &sim.sealed("p").message;
    assert!(
        message.contains(named) && message.contains("no NetworkPolicy"),
        "{message}"
    );
    sim.leaks = |_| false;
    sim.run(40.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    assert_eq!(sim.events(), ["PolicyWidens", "EgressOpen", "NotEnforced"]);
}

/// A pod that gets out by what its object declares: a way to the canaries' port.
fn out_as_declared() -> Sim {
    let edge = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 8080}]}]}";
    let mut sim = proven();
    sim.owners.0.push(policy("edge", edge));
    sim.view.policies.push(policy("edge", edge));
    sim.leaks = |target| target.name.starts_with("canary/") && target.proto == Proto::Tcp;
    sim.run(60.0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
    sim
}

#[test]
fn a_declared_way_that_leads_to_canaries_is_told_in_the_same_words_each_round() {
    let mut sim = out_as_declared();
    let rounds = sim.gates["p"].challenges.len();
    sim.reworded = 0;
    sim.run(100.0);
    assert!(sim.gates["p"].challenges.len() >= rounds + 10);
    assert_eq!(sim.reworded, 0, "{}", sim.sealed("p").message);
}

#[test]
fn a_declared_way_that_is_taken_back_has_time_to_close() {
    let mut sim = out_as_declared();
    sim.owners.0.pop();
    sim.view.policies.pop();
    sim.run(20.0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
    sim.run(40.0);
    assert_sealed(&sim, Status::False, Reason::NotEnforced);
}

#[test]
fn what_gets_out_with_an_alarm_raises_no_storm_of_alarms() {
    let mut sim = proven();
    sim.leaks = |_| true;
    sim.view.policies.push(policy("hole", WIDE));
    sim.run(35.0);
    let challenges = |sim: &Sim| sim.gates["p"].challenges.len();
    let before = challenges(&sim);
    sim.run(7.6);
    // One alarm for each tick of 760 ms, and a round now and then.
    let more = challenges(&sim) - before;
    assert!((5..=14).contains(&more), "{more}");
}

#[test]
fn an_open_pod_that_is_being_deleted_says_so() {
    let mut sim = proven();
    sim.leaks = |target| target.name.starts_with("canary/");
    sim.view.policies.push(policy("hole", WIDE));
    sim.run(35.0);
    sim.view.pods[0].terminating = true;
    sim.view.policies.pop();
    sim.gates.get_mut("p").unwrap().deaf = true;
    sim.run(5.0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
    let message = &sim.sealed("p").message;
    assert!(message.ends_with("; pod p is being deleted"), "{message}");
}

#[test]
fn dns_that_answers_is_explained_by_an_egress_widening_only() {
    let mut sim = proven();
    sim.leaks = |target| target.name.starts_with("dns/");
    sim.run(35.0);
    assert_sealed(&sim, Status::False, Reason::NotEnforced);
    let dns = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}]}]}";
    sim.view.policies.push(policy("allow-dns", dns));
    sim.run(1.0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
}

#[test]
fn a_nonce_at_a_canary_convicts_although_the_gate_saw_silence() {
    let mut sim = proven();
    sim.leaks = |target| target.name == "canary/other-node/udp6";
    sim.one_way = true;
    sim.run(32.0);
    assert_eq!(sim.state("p"), State::Open);
    assert_sealed(&sim, Status::False, Reason::NotEnforced);
    assert!(
        sim.sealed("p").message.contains("canary canary-2 over UDP"),
        "{:?}",
        sim.sealed("p")
    );
    sim.run(60.0);
    assert_eq!(
        sim.state("p"),
        State::Open,
        "no proof while canaries see nonces"
    );
    sim.leaks = |_| false;
    sim.run(15.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
}
