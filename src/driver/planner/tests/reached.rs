//! Packets that got out, and the policies that explain them.

use crate::driver::planner::{Reason, Status};
use crate::seal::wire::State;

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
