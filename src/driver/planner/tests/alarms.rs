//! Alarms: at once, and within their share of the rate.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::config::Config;
use crate::driver::planner::{Due, Planner};
use crate::seal::wire::{Proto, State};

use super::cluster::{WIDE, policy, sealed_pod};
use super::scheduling::many;
use super::sim::Sim;

/// An operator that may send so many challenges a second, of which half may be alarms.
fn limited(pods: usize, max_per_second: u32) -> Sim {
    let mut sim = Sim::new(many(pods));
    let config = Config {
        max_per_second,
        ..Config::default()
    };
    sim.planner = Planner::new(config, sim.now);
    sim
}

fn observe(sim: &mut Sim) {
    let view = Arc::new(sim.view.clone());
    sim.planner.observe(view, &sim.owners, sim.now);
}

/// Who gets what in so many tenths of a second, each of which nobody answers.
fn due(sim: &mut Sim, tenths: usize, room: bool) -> Vec<Due> {
    let tenth = |_| {
        sim.now += Duration::from_millis(100);
        let due = sim.planner.due(sim.now, room);
        for uid in &due.rounds {
            sim.planner.abandoned(uid);
        }
        due
    };
    (0..tenths).map(tenth).collect()
}

#[test]
fn an_alarm_that_is_not_delivered_is_repeated() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.run(8.0);
    sim.gates.get_mut("p").unwrap().deaf = true;
    sim.view
        .policies
        .push(policy("hole", "{podSelector: {}, egress: [{}]}"));
    sim.run(3.0);
    assert_eq!(sim.state("p"), State::Proven);
    sim.gates.get_mut("p").unwrap().deaf = false;
    sim.run(1.0);
    assert_eq!(sim.state("p"), State::Open);
}

#[test]
fn alarms_do_not_wait_for_canaries_and_rounds_do() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    let view = std::sync::Arc::new(sim.view.clone());
    sim.planner.observe(view, &sim.owners.clone(), sim.now);
    assert!(sim.planner.due(sim.now, false).rounds.is_empty());
    sim.view
        .policies
        .push(policy("hole", "{podSelector: {}, egress: [{}]}"));
    let view = std::sync::Arc::new(sim.view.clone());
    sim.planner.observe(view, &sim.owners.clone(), sim.now);
    let due = sim.planner.due(sim.now, false);
    assert_eq!((due.alarms, due.rounds.len()), (vec!["p".to_owned()], 0));
    assert_eq!(sim.planner.due(sim.now, true).rounds, ["p"]);
}

#[test]
fn an_alarm_does_not_wait_for_rounds_that_wait() {
    // Each pod whose controls fail is due every ten seconds, so these want twice what the rate allows.
    let mut sim = limited(400, 20);
    sim.control = |_, _| false;
    sim.run(40.0);
    let uid = "pod-00399";
    assert_eq!(sim.state(uid), State::Unproven);
    let canary = sim.view.shared.canaries[0].clone();
    let nonce = sim.planner.tracks[uid].nonces.back().unwrap().clone();
    sim.hear(&canary, &nonce, Proto::Tcp);
    sim.run(0.76);
    assert_eq!(sim.state(uid), State::Open);
}

#[rstest::rstest]
#[case::ten_of_each_a_second(20, 110)]
#[case::one_of_each_every_two_seconds(1, 6)]
fn many_alarms_leave_half_of_the_rate_to_rounds(#[case] rate: u32, #[case] expected: usize) {
    let mut sim = limited(200, rate);
    sim.view.policies.push(policy("hole", WIDE));
    observe(&mut sim);
    let due = due(&mut sim, 100, true);
    let alarms: usize = due.iter().map(|due| due.alarms.len()).sum();
    let rounds: usize = due.iter().map(|due| due.rounds.len()).sum();
    // In ten seconds, and what was there at the beginning.
    for count in [alarms, rounds] {
        assert!(
            count.abs_diff(expected) <= 1 + expected / 8,
            "{alarms} and {rounds}"
        );
    }
}

#[test]
fn alarms_go_out_in_the_order_in_which_they_became_due() {
    let mut sim = limited(50, 20);
    sim.view.policies.push(policy("hole", WIDE));
    observe(&mut sim);
    let due = due(&mut sim, 60, false);
    let told: Vec<&String> = due.iter().flat_map(|due| &due.alarms).collect();
    assert!(told.len() > 50, "{}", told.len());
    let first: BTreeSet<&String> = told.iter().take(50).copied().collect();
    assert_eq!(first.len(), 50, "one is told twice before another is");
}
