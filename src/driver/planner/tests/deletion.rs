//! The pace at which altered pods are deleted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::driver::planner::Reason;
use crate::driver::planner::deletion::Deletions;
use crate::driver::planner::track::Track;
use crate::seal::wire::{Report, State};

use super::cluster::sealed_pod;
use super::gate::Gate;
use super::outcome::proven;
use super::sim::Sim;

fn altered(owner: usize, since: Instant) -> Track {
    let mut pod = sealed_pod("p");
    pod.owner_uid = owner.to_string();
    let mut track = Track::new(&pod, since);
    track.altered = Some("somehow".to_owned());
    track.opening = Some((Reason::PodAltered, "somehow".to_owned()));
    track.was_ready = true;
    track
}

/// One that got out by a policy, and whose runtime has run.
fn open(owner: usize, since: Instant) -> Track {
    let mut track = altered(owner, since);
    track.altered = None;
    track.opening = Some((Reason::EgressOpen, "a policy".to_owned()));
    track.report = Some(Arc::new(Report {
        runtime_ran: true,
        ..Gate::new("p").machine.report(since)
    }));
    track
}

fn deleted(deletions: &mut Deletions, track: &mut Track, now: Instant) -> bool {
    let mut actions = Vec::new();
    track.delete(deletions, now, &mut actions);
    !actions.is_empty()
}

/// Seconds after the first deletion of the object: when the pod was seen first, and when it is found altered.
#[rstest::rstest]
#[case::there_before(-60, 1, true)]
#[case::there_at_that_moment(0, 1, true)]
#[case::made_since(1, 9, false)]
#[case::when_the_wait_is_over(1, 10, true)]
fn one_that_was_made_since_waits(#[case] seen: i64, #[case] found: u64, #[case] goes: bool) {
    let start = Instant::now();
    let begin = start + Duration::from_secs(60);
    let seen = start + Duration::from_secs((60 + seen).unsigned_abs());
    let now = begin + Duration::from_secs(found);
    let mut deletions = Deletions::default();
    let first = deleted(&mut deletions, &mut altered(0, begin), begin);
    assert!(first, "the first one waits for nothing");
    let mut next = altered(0, seen);
    let held = deletions.held(&next, now);
    assert_eq!(held.is_none(), goes, "{held:?}");
    assert_eq!(deleted(&mut deletions, &mut next, now), goes);
    assert!(
        deleted(&mut deletions, &mut altered(1, now), now),
        "another object counts for itself"
    );
    assert!(
        deleted(&mut deletions, &mut open(0, seen), now),
        "what is open by a policy waits for nothing"
    );
    let mut both = open(0, seen);
    both.altered = Some("somehow".to_owned());
    assert!(
        deleted(&mut deletions, &mut both, now),
        "nor does one that got out and was altered"
    );
}

#[test]
fn a_deletion_that_failed_is_tried_again_and_counts_once() {
    let begin = Instant::now();
    let later = begin + Duration::from_secs(1);
    let mut deletions = Deletions::default();
    let mut track = altered(0, begin);
    assert!(deleted(&mut deletions, &mut track, begin));
    track.delete_failed(begin);
    assert!(!deleted(&mut deletions, &mut track, begin));
    assert!(deleted(&mut deletions, &mut track, later));
    assert_eq!(deletions.0["0"].times(), 1);
}

#[test]
fn what_is_remembered_of_deletions_is_bounded() {
    let begin = Instant::now();
    let mut deletions = Deletions::default();
    for owner in 0..100 {
        assert!(deleted(&mut deletions, &mut altered(owner, begin), begin));
    }
    deletions.sweep(begin + Duration::from_secs(599));
    assert_eq!(deletions.0.len(), 100);
    deletions.sweep(begin + Duration::from_secs(600));
    assert!(deletions.0.is_empty());
}

fn alter(sim: &mut Sim) {
    for pod in &mut sim.view.pods {
        pod.altered = Some("container proxy was added".to_owned());
    }
}

/// Makes a pod in the place of the one that is there, a moment later, and waits for its proof.
fn replace(sim: &mut Sim, name: &str) {
    sim.run(0.1);
    sim.pods(vec![sealed_pod(name)]);
    sim.run(6.0);
    assert_eq!(sim.state(name), State::Proven);
}

/// Seconds until the pod is deleted that is altered now.
fn until_deleted(sim: &mut Sim) -> u64 {
    let (before, begin) = (sim.deletions(), sim.now);
    alter(sim);
    sim.step();
    while sim.deletions() == before {
        sim.run(1.0);
        assert!(sim.now < begin + Duration::from_secs(400), "never deleted");
    }
    (sim.now - begin).as_secs()
}

#[test]
fn pods_that_are_altered_again_and_again_are_deleted_ever_more_rarely() {
    let mut sim = proven();
    assert_eq!(until_deleted(&mut sim), 0);
    // Each is altered six to seven seconds after the deletion of the one before.
    let waits = [10, 20, 40, 80, 160, 300, 300];
    for (name, wait) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().zip(waits) {
        replace(&mut sim, name);
        let waited = until_deleted(&mut sim);
        assert!((wait - 8..=wait - 4).contains(&waited), "{name}: {waited}");
    }
    replace(&mut sim, "h");
    sim.run(600.0);
    assert_eq!(until_deleted(&mut sim), 0, "ten minutes without one");
}

#[test]
fn the_message_says_that_a_deletion_waits() {
    let mut sim = proven();
    until_deleted(&mut sim);
    replace(&mut sim, "q");
    alter(&mut sim);
    sim.step();
    let held = sim.sealed("q").clone();
    assert_eq!(held.reason, Reason::PodAltered);
    assert!(
        held.message
            .ends_with("altered again and again: this one is deleted 10 s after the one before"),
        "{}",
        held.message
    );
    sim.run(2.0);
    assert_eq!(*sim.sealed("q"), held, "a message does not count down");
    sim.run(5.0);
    assert_eq!(sim.deletions(), 2);
    assert!(!sim.sealed("q").message.contains("again and again"));
    assert_eq!(sim.events(), ["PodAltered", "PodAltered"]);
}

#[test]
fn what_alters_all_pods_at_once_has_all_of_them_deleted_at_once() {
    let mut sim = Sim::new(Vec::from(["p", "q", "r"].map(sealed_pod)));
    sim.run(6.0);
    alter(&mut sim);
    sim.step();
    assert_eq!(sim.deletions(), 3);
}

#[test]
fn another_operator_begins_with_the_first_deletion() {
    let mut sim = proven();
    until_deleted(&mut sim);
    replace(&mut sim, "q");
    sim.restart_operator();
    assert_eq!(until_deleted(&mut sim), 0);
}
