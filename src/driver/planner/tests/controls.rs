//! Controls that fail: silence proves nothing then.

use crate::driver::planner::{Reason, Status};
use crate::driver::view::ServiceAddresses;
use crate::seal::wire::State;

use super::cluster::{WIDE, policy, sealed_pod};
use super::outcome::{assert_sealed, proven};
use super::sim::Sim;

#[test]
fn without_canaries_nothing_is_proven_and_what_runs_goes_stale_with_the_control_named() {
    let mut sim = proven();
    let canaries = std::mem::take(&mut sim.view.shared.canaries);
    let p = sim.view.pods[0].clone();
    sim.pods(vec![p, sealed_pod("new")]);
    sim.run(20.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    assert_eq!(sim.state("new"), State::Unproven);
    assert_eq!(sim.sealed("new").reason, Reason::ControlFailed);
    assert!(sim.sealed("new").message.contains("no canary is running"));
    sim.run(100.0);
    assert_eq!(sim.state("p"), State::Stale);
    assert_sealed(&sim, Status::Unknown, Reason::ControlFailed);
    let of_p = sim.conditions();
    assert!(
        !of_p.contains(&(false, "ControlFailed")) || of_p.len() < 6,
        "{of_p:?}"
    );
    sim.view.shared.canaries = canaries;
    sim.run(16.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    assert_eq!(sim.sealed("new").status, Status::True);
}

#[rstest::rstest]
#[case::a_canary_cannot_dial_the_gate(|canary: &str, addr: std::net::SocketAddr| canary != "canary-1" || addr.port() != 8081, "canary canary-1 could not reach the gate")]
#[case::dns_is_down(|_: &str, addr: std::net::SocketAddr| addr.port() != 53, "nobody could reach dns/udp4")]
#[case::the_api_server_is_down(|_: &str, addr: std::net::SocketAddr| addr.port() != 443, "nobody could reach api-server/tcp4")]
#[case::one_family_is_down(|_: &str, addr: std::net::SocketAddr| addr.is_ipv4(), "gate at [fd00::1]:8081")]
fn each_control_alone_keeps_a_pod_unproven(
    #[case] control: fn(&str, std::net::SocketAddr) -> bool,
    #[case] named: &str,
) {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.control = control;
    sim.run(30.0);
    assert_eq!(sim.state("p"), State::Unproven);
    assert_sealed(&sim, Status::Unknown, Reason::ControlFailed);
    assert!(
        sim.sealed("p").message.contains(named),
        "{}",
        sim.sealed("p").message
    );
    sim.control = |_, _| true;
    sim.run(15.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
}

#[test]
fn what_keeps_a_pod_open_after_its_hole_was_closed_is_named() {
    let mut sim = proven();
    sim.leaks = |target| target.name.starts_with("dns/");
    sim.view.policies.push(policy("hole", WIDE));
    sim.run(35.0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
    sim.view.policies.pop();
    sim.leaks = |_| false;
    sim.control = |_, addr| addr.port() != 53;
    sim.run(20.0);
    assert_sealed(&sim, Status::False, Reason::EgressOpen);
    let message = &sim.sealed("p").message;
    assert!(
        message.contains("a control failed, so silence proves nothing: nobody could reach dns/"),
        "{message}"
    );
    sim.control = |_, _| true;
    sim.run(40.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
}

#[rstest::rstest]
#[case::seen_by_the_gate(false)]
#[case::seen_by_canaries_alone(true)]
fn controls_that_failed_once_do_not_keep_open_what_gets_out(#[case] one_way: bool) {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.leaks = |_| true;
    sim.one_way = one_way;
    sim.control = |_, _| false;
    // Rounds of a pod that gets out come every ten seconds.
    sim.run(35.0);
    sim.control = |_, _| true;
    sim.run(30.0);
    assert_sealed(&sim, Status::False, Reason::NotEnforced);
    let message = &sim.sealed("p").message;
    assert!(!message.contains("a control failed"), "{message}");
}

#[test]
fn a_service_that_should_be_there_is_a_control_that_failed() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.view.shared.dns = ServiceAddresses::Missing;
    sim.run(10.0);
    assert_sealed(&sim, Status::Unknown, Reason::ControlFailed);
    sim.view.shared.dns = ServiceAddresses::NotConfigured;
    sim.run(15.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
}

#[test]
fn what_the_predecessor_wrote_stands_while_the_first_controls_fail() {
    let mut sim = proven();
    sim.restart_operator();
    sim.control = |_, _| false;
    sim.run(1.0);
    assert_sealed(&sim, Status::Unknown, Reason::Proving);
    sim.control = |_, _| true;
    sim.run(60.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    assert!(sim.conditions().is_empty(), "{:?}", sim.conditions());
}
