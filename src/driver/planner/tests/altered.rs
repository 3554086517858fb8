//! Pods that are not what was made.

use crate::driver::planner::{Reason, Status};
use crate::driver::targets::Controls;
use crate::seal::wire::State;

use super::cluster::sealed_pod;
use super::outcome::{assert_sealed, proven};
use super::sim::Sim;

const FOUND: &str = "ephemeral container debugger was added with image r.io/sh";

fn alter(sim: &mut Sim) {
    sim.view.pods[0].altered = Some(FOUND.to_owned());
}

#[test]
fn an_altered_pod_is_shut_deleted_once_and_challenged_no_more() {
    let mut sim = proven();
    alter(&mut sim);
    sim.step();
    assert_eq!(sim.state("p"), State::Open);
    assert_sealed(&sim, Status::False, Reason::PodAltered);
    let message = &sim.sealed("p").message;
    assert!(message.starts_with("pod p: "), "{message}");
    assert!(message.contains(FOUND), "{message}");
    assert!(message.contains("delete this pod"), "{message}");
    let told = sim.gates["p"].challenges.len();
    sim.run(120.0);
    assert_eq!(sim.gates["p"].challenges.len(), told, "one order is enough");
    assert_eq!(sim.state("p"), State::Open);
    assert_eq!((sim.deletions(), sim.events()), (1, vec!["PodAltered"]));
    assert_eq!(
        sim.conditions(),
        [
            (false, "Proving"),
            (true, "NoEgress"),
            (false, "PodAltered")
        ]
    );
}

#[test]
fn the_pod_that_takes_its_place_is_proven() {
    let mut sim = proven();
    alter(&mut sim);
    sim.run(5.0);
    sim.pods(vec![sealed_pod("q")]);
    sim.run(10.0);
    assert!(!sim.seals.contains_key("p"));
    assert_eq!(sim.sealed("q").status, Status::True);
    assert_eq!(sim.state("q"), State::Proven);
}

#[test]
fn a_pod_that_was_put_back_stays_shut() {
    let mut sim = proven();
    alter(&mut sim);
    sim.step();
    sim.view.pods[0].altered = None;
    sim.run(60.0);
    assert_sealed(&sim, Status::False, Reason::PodAltered);
    assert_eq!(sim.state("p"), State::Open);
}

/// A webhook would alter the next one too.
#[test]
fn one_that_was_altered_before_its_proof_is_never_proven_and_never_deleted() {
    let mut pod = sealed_pod("p");
    pod.altered = Some(FOUND.to_owned());
    let mut sim = Sim::new(vec![pod]);
    sim.run(60.0);
    assert_sealed(&sim, Status::False, Reason::PodAltered);
    assert_eq!(sim.state("p"), State::Open);
    assert_eq!((sim.deletions(), sim.events()), (0, vec!["PodAltered"]));
    assert_eq!(sim.conditions(), [(false, "PodAltered")]);
}

/// It may be another gate: it neither has to hear the order nor to say that its runtime ran.
#[test]
fn a_gate_that_does_not_answer_changes_nothing() {
    let mut sim = proven();
    sim.gates.get_mut("p").unwrap().deaf = true;
    alter(&mut sim);
    sim.run(60.0);
    assert_sealed(&sim, Status::False, Reason::PodAltered);
    assert_eq!(sim.conditions().last(), Some(&(false, "PodAltered")));
    assert_eq!(sim.deletions(), 1);
}

/// It can stay for days, and what may be sent in a second is for all pods together.
#[test]
fn a_gate_that_never_answers_is_told_less_and_less_often() {
    let mut sim = proven();
    sim.gates.get_mut("p").unwrap().deaf = true;
    alter(&mut sim);
    sim.run(120.0);
    let unheard = sim.gates["p"].unheard;
    assert!((10..=25).contains(&unheard), "{unheard}");
    sim.gates.get_mut("p").unwrap().deaf = false;
    sim.run(11.0);
    assert_eq!(sim.state("p"), State::Open);
}

#[test]
fn a_round_that_waits_for_its_controls_is_not_sent() {
    let mut sim = proven();
    alter(&mut sim);
    let view = std::sync::Arc::new(sim.view.clone());
    sim.planner.observe(view, &sim.owners.clone(), sim.now);
    let controls = Controls::default();
    assert!(sim.planner.begin("p", &controls, sim.now).is_none());
    assert!(sim.planner.begin_alarm("p", sim.now).is_some());
}

#[test]
fn another_operator_learns_it_from_the_gate() {
    let mut sim = proven();
    sim.gates.get_mut("p").unwrap().runtime_ran = true;
    alter(&mut sim);
    sim.step();
    // It may not know what its predecessor made.
    sim.view.pods[0].altered = None;
    sim.restart_operator();
    sim.run(30.0);
    assert_sealed(&sim, Status::False, Reason::PodAltered);
    assert_eq!((sim.state("p"), sim.deletions()), (State::Open, 1));
}

#[test]
fn what_the_kubelet_says_otherwise_is_told_and_convicts_nobody() {
    let mut pod = sealed_pod("p");
    pod.notes = vec!["container gate: another digest".to_owned()];
    let mut sim = Sim::new(vec![pod]);
    sim.run(6.0);
    assert_sealed(&sim, Status::True, Reason::NoEgress);
    assert!(
        sim.seals["p"]
            .notes
            .contains(&"container gate: another digest".to_owned())
    );
}
