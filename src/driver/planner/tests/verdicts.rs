use crate::driver::planner::{Reason, Status};
use crate::driver::view::{Condition, PodKind, ServiceAddresses};
use crate::seal::wire::{RuntimeFault, State};

use super::sim::{SEALED, Sim, policy, sealed_pod};

const WIDE: &str = "{podSelector: {}, egress: [{}]}";
const NARROW: &str = "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 203.0.113.7/32}}]}]}";

fn proven() -> Sim {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.run(6.0);
    assert_eq!(sim.state("p"), State::Proven);
    sim
}

#[track_caller]
fn assert_sealed(sim: &Sim, status: Status, reason: Reason) {
    let sealed = sim.sealed("p");
    assert_eq!(
        (sealed.status, sealed.reason),
        (status, reason),
        "{sealed:?}"
    );
}

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
#[case::none(None, true, None)]
#[case::ended(Some(RuntimeFault::Ended), false, Some(RuntimeFault::Ended))]
#[case::killed(Some(RuntimeFault::Ended), true, Some(RuntimeFault::OutOfMemory))]
#[case::killed_each_time(Some(RuntimeFault::Failing), true, Some(RuntimeFault::OutOfMemory))]
#[case::hangs(Some(RuntimeFault::Hangs), true, Some(RuntimeFault::Hangs))]
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
fn terminating_pods_are_challenged_to_their_end_and_not_deleted_again() {
    let mut sim = proven();
    sim.gates.get_mut("p").unwrap().runtime_ran = true;
    sim.view.pods[0].terminating = true;
    sim.view.policies.push(policy("hole", WIDE));
    sim.step();
    assert_eq!(sim.state("p"), State::Open);
    assert_eq!(sim.deletions(), 0);
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
