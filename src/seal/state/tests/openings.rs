//! What opens, why, and what it takes along.

use super::*;

#[test]
fn a_mute_or_refusing_tripwire_hinders_nothing_and_an_answering_one_opens() {
    let mut gate = fresh();
    for _ in 0..5 {
        gate.round([SILENT, Observation::Refused, Observation::Denied]);
        gate.now += ms(750);
    }
    assert_eq!(gate.state(), State::Proven);
    gate.round([SILENT, Observation::Connected, SILENT]);
    assert_eq!((gate.state(), gate.reason()), (State::Open, "NotEnforced"));
    let detail = &gate.machine.opening().unwrap().detail;
    assert_eq!(detail, "reached metadata/tcp4");
}

#[test]
fn the_own_node_opens_only_where_that_is_required() {
    let reached = [SILENT, SILENT, Observation::Connected];
    let mut gate = Gate::serving(WhenStale::Serve);
    gate.round(reached.clone());
    assert_eq!(gate.state(), State::Proven);
    assert_eq!(
        gate.machine.findings().targets[2].verdict,
        Verdict::Reached,
        "it must show"
    );
    let mut gate = Gate::new(WhenStale::Serve, OwnNode::Require);
    gate.prove();
    gate.round(reached);
    assert_eq!(gate.state(), State::Open);
}

#[test]
fn a_required_target_opens_whatever_its_name() {
    let mut gate = fresh();
    let round = gate.begin(|c| c.targets[0].name = "own-node/kubelet".to_owned());
    let reached = [Observation::Answered, SILENT, SILENT];
    gate.machine.finish(round, &reached, gate.now);
    assert_eq!(gate.state(), State::Open);
}

#[test]
fn an_order_and_a_widened_closure_open_before_anything_is_probed() {
    let mut gate = Gate::serving(WhenStale::Serve);
    let ordered = gate.begin(|c| c.open = Some(order()));
    assert_eq!(gate.machine.opening(), Some(&order()));
    assert_eq!(gate.machine.lease(gate.now, true), Word::Revoked);
    gate.machine
        .finish(ordered, &[SILENT, SILENT, SILENT], gate.now);
    assert_eq!(gate.state(), State::Open);

    let mut gate = Gate::serving(WhenStale::Serve);
    gate.machine.begin(widened(gate.seq + 1), gate.now).unwrap();
    assert_eq!((gate.state(), gate.reason()), (State::Open, "PolicyWidens"));
}

#[test]
fn the_reason_follows_what_is_known() {
    let mut gate = Gate::serving(WhenStale::Serve);
    let reached = [Observation::Connected, SILENT, SILENT];
    gate.round(reached.clone());
    assert_eq!(gate.reason(), "NotEnforced");
    // The policy that explains it is evaluated a moment later.
    let round = gate.begin(|c| c.closure = widened(1).closure);
    assert_eq!(gate.reason(), "NotEnforced", "not forgotten while probing");
    gate.machine.finish(round, &reached, gate.now);
    assert_eq!(gate.reason(), "EgressOpen");
    // The wide policy goes, the narrow one stays.
    let round = gate.begin(|c| c.closure = widened(1).closure);
    gate.machine
        .finish(round, &[SILENT, SILENT, SILENT], gate.now);
    assert_eq!(gate.reason(), "PolicyWidens");
    gate.prove();
    assert_eq!(gate.reason(), "");
}

#[test]
fn rounds_from_before_an_opening_do_not_count() {
    let mut gate = fresh();
    let mut begun = Vec::new();
    for _ in 0..6 {
        begun.push(gate.begin(|_| {}));
        gate.now += ms(750);
    }
    gate.machine.ordered_open(order());
    for round in begun {
        gate.machine
            .finish(round, &[SILENT, SILENT, SILENT], gate.now);
    }
    assert_eq!(gate.state(), State::Open);
    gate.prove();
}
