use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::driver::config::Config;
use crate::driver::planner::Planner;
use crate::driver::sequence::unix_millis;
use crate::driver::view::SealedPod;
use crate::seal::wire::State;

use super::cluster::{policy, sealed_pod};
use super::sim::Sim;

pub(super) fn many(n: usize) -> Vec<SealedPod> {
    (0..n).map(|n| sealed_pod(&format!("pod-{n:05}"))).collect()
}

/// Challenges of all pods by the second since `from`.
fn by_second(sim: &Sim, from: Instant) -> BTreeMap<u64, u32> {
    let mut seconds = BTreeMap::new();
    for at in sim.gates.values().flat_map(|gate| &gate.challenges) {
        if let Some(since) = at.checked_duration_since(from) {
            *seconds.entry(since.as_secs()).or_default() += 1;
        }
    }
    seconds
}

#[test]
fn rounds_after_the_proof_spread_over_the_period() {
    let mut sim = Sim::new(many(90));
    sim.run(20.0);
    assert!(
        sim.gates
            .values()
            .all(|gate| gate.machine.state(sim.now) == State::Proven)
    );
    let from = sim.now;
    sim.run(60.0);
    let most = by_second(&sim, from).into_values().max();
    // 3 a second on average over a period of 30 s; all at once would be 90.
    assert!(most.is_some_and(|most| most <= 20), "{most:?}");
}

#[test]
fn no_second_has_more_challenges_than_the_rate() {
    let mut sim = Sim::new(many(600));
    let from = sim.now;
    sim.run(12.0);
    let seconds = by_second(&sim, from);
    // The bucket holds one second's worth at the start.
    assert!(seconds.values().all(|count| *count <= 400), "{seconds:?}");
    let total: u32 = seconds.values().sum();
    assert!(total <= 200 * 13, "{total}");
    sim.run(20.0);
    assert!(
        sim.gates
            .values()
            .all(|gate| gate.machine.state(sim.now) == State::Proven)
    );
}

#[test]
fn more_pods_than_the_rate_allows_lengthen_the_period_and_the_validity() {
    let few = Sim::new(many(10));
    assert_eq!(few.planner.period(), Duration::from_secs(30));
    let mut sim = Sim::new(many(400));
    let config = Config {
        max_per_second: 4,
        ..Config::default()
    };
    sim.planner = Planner::new(config, sim.now);
    sim.step();
    let period = sim.planner.period().as_secs();
    assert_eq!((period, sim.planner.validity().as_secs()), (111, 333));
}

#[test]
fn rounds_in_quick_succession_leave_time_for_the_first_proof() {
    let mut sim = Sim::new(many(1));
    let config = Config {
        round: Duration::from_millis(500),
        ..Config::default()
    };
    sim.planner = Planner::new(config, sim.now);
    sim.run(5.0);
    assert!(
        sim.gates
            .values()
            .all(|gate| gate.machine.state(sim.now) == State::Proven)
    );
}

#[test]
fn pods_that_are_gone_leave_nothing_behind() {
    let mut sim = Sim::new(many(20));
    sim.run(10.0);
    assert!(sim.planner.nonces.len() >= 100);
    sim.pods(many(1));
    sim.step();
    assert_eq!((sim.planner.tracks.len(), sim.seals.len()), (1, 1));
    assert!(sim.planner.nonces.len() <= 10);
    sim.pods(Vec::new());
    sim.step();
    assert!(sim.planner.nonces.is_empty() && sim.planner.tracks.is_empty());
}

#[test]
fn remembered_nonces_are_bounded() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.leaks = |_| true;
    sim.run(2000.0);
    assert!(
        sim.planner.nonces.len() <= 96,
        "{}",
        sim.planner.nonces.len()
    );
    assert_eq!(
        sim.planner.nonces.len(),
        sim.planner.tracks["p"].nonces.len()
    );
}

#[test]
fn a_deaf_gate_is_asked_less_and_less_and_at_once_when_it_runs_again() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.control = |_, addr| addr.port() != 8081;
    sim.run(60.0);
    let gaps: Vec<Duration> = sim.gates["p"]
        .challenges
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert!(gaps[0] < Duration::from_secs(1), "{gaps:?}");
    assert!(*gaps.last().unwrap() >= Duration::from_secs(9), "{gaps:?}");
    assert!(
        gaps.iter().all(|gap| *gap < Duration::from_secs(11)),
        "{gaps:?}"
    );
    sim.view.pods[0].gate_running = false;
    sim.step();
    let before = sim.gates["p"].challenges.len();
    sim.run(20.0);
    assert_eq!(
        sim.gates["p"].challenges.len(),
        before,
        "nothing is sent to a gate that is down"
    );
    sim.view.pods[0].gate_running = true;
    sim.control = |_, _| true;
    sim.run(4.0);
    assert_eq!(sim.state("p"), State::Proven);
}

#[test]
fn a_policy_event_is_followed_by_a_challenge_at_once() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.run(8.0);
    let before = sim.gates["p"].challenges.len();
    // It adds nothing, but what enforces the policies may have been touched.
    sim.view.policies.push(policy("deny", "{podSelector: {}}"));
    sim.step();
    assert_eq!(sim.gates["p"].challenges.len(), before + 1);
    assert_eq!(sim.state("p"), State::Proven);
}

#[test]
fn an_engine_that_starts_is_followed_by_a_challenge_at_once() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.run(8.0);
    let before = sim.gates["p"].challenges.len();
    sim.view.pods[0].engine_started = true;
    sim.step();
    assert_eq!(sim.gates["p"].challenges.len(), before + 1);
    sim.step();
    assert_eq!(sim.gates["p"].challenges.len(), before + 1);
}

#[test]
fn a_gate_asks_for_its_session_once_and_again_after_a_restart() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.run(60.0);
    assert_eq!(
        (sim.gates["p"].conflicts, sim.state("p")),
        (1, State::Proven)
    );
    sim.restart_gate();
    sim.run(60.0);
    assert_eq!(
        (sim.gates["p"].conflicts, sim.state("p")),
        (2, State::Proven)
    );
}

#[test]
fn a_pod_whose_numbers_are_far_ahead_moves_no_other() {
    let mut sim = Sim::new(many(2));
    sim.run(1.0);
    let (one, other) = (
        &sim.planner.tracks["pod-00000"],
        &sim.planner.tracks["pod-00001"],
    );
    let now = unix_millis();
    let ahead = one.sequence.above(now + 3_600_000, now).unwrap();
    assert!(other.sequence.next(now) < ahead);
}

#[test]
fn the_newest_round_that_proved_a_pod_counts_from_its_beginning() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    sim.run(8.0);
    let (begun, now) = (sim.now, sim.now + Duration::from_secs(3));
    let track = sim.planner.tracks.get_mut("p").unwrap();
    track.proven_by(begun, now);
    let (at, wall) = track.last_proven.unwrap();
    let ago = SystemTime::now().duration_since(wall).unwrap();
    assert_eq!(at, begun);
    assert!((3..9).contains(&ago.as_secs()), "{ago:?}");
    track.proven_by(begun - Duration::from_secs(1), now);
    assert_eq!(track.last_proven, Some((at, wall)), "an older one");
}

#[test]
fn overlapping_rounds_of_one_pod_are_bounded() {
    let mut sim = Sim::new(vec![sealed_pod("p")]);
    let view = std::sync::Arc::new(sim.view.clone());
    sim.planner.observe(view, &sim.owners.clone(), sim.now);
    let mut begun = 0;
    for _ in 0..100 {
        sim.now += Duration::from_secs(1);
        begun += sim.planner.due(sim.now, true).rounds.len();
    }
    assert_eq!(begun, 6, "none of them has ended");
    sim.planner.abandoned("p");
    sim.now += Duration::from_secs(1);
    assert_eq!(sim.planner.due(sim.now, true).rounds, ["p"]);
}
