use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::runtime::watcher::Event;
use sealroom::seal::check::new_nonce;
use sealroom::seal::wire::{Challenge, ChallengeConflict, Closure, State, VERSION};
use serde_json::json;
use tokio::time::sleep;

use super::peers::machine;
use super::world::{World, policy};

/// A policy that opens one address outside, which no probe covers.
fn hole() -> NetworkPolicy {
    let narrow = json!({ "podSelector": {}, "egress": [{ "to": [{ "ipBlock": { "cidr": "203.0.113.7/32" } }] }] });
    policy("hole", narrow)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_is_proven_over_the_wire_and_a_hole_closes_it_until_it_is_gone() {
    let mut world = World::start().await;
    let seal = world.until("True", "NoEgress").await;
    assert_eq!(seal.locks, ["Kernel"]);
    assert_eq!(seal.policies[0].name, "sealroom-sealed");
    assert!(seal.last_proven.is_some());
    assert!(
        seal.notes.contains(&"ownNode: no canary".to_owned()),
        "{:?}",
        seal.notes
    );
    let asked = world.fakes.asked.lock().unwrap().clone();
    let expected = [
        "canary/other-node/tcp4",
        "canary/other-node/udp4",
        "canary/other-node-2/tcp4",
        "canary/other-node-2/udp4",
        "dns/tcp4",
        "dns/udp4",
        "metadata/tcp4",
        "metadata/tcp6",
    ];
    assert_eq!(asked, expected);

    // Only the policies show it.
    let hole = hole();
    world
        .policies
        .apply_watcher_event(&Event::Apply(hole.clone()));
    let seal = world.until("False", "PolicyWidens").await;
    assert!(
        seal.sealed.message.contains("NetworkPolicy team-a/hole"),
        "{}",
        seal.sealed.message
    );
    while world.gate_state() != State::Open {
        sleep(Duration::from_millis(20)).await;
    }
    world.policies.apply_watcher_event(&Event::Delete(hole));
    world.until("True", "NoEgress").await;
    assert_eq!(world.gate_state(), State::Proven);

    let expected = [
        "condition sealed-pod false Proving",
        "condition sealed-pod true NoEgress",
        "event assistant PolicyWidens",
        "condition sealed-pod false PolicyWidens",
        "delete team-a/sealed-pod sealed-pod 120",
        "condition sealed-pod true NoEgress",
    ];
    // A condition is written when the one before has been seen.
    let enough = async {
        while world.written.all().len() < expected.len() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(10), enough).await;
    let written = world.written.all();
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(
        sorted(written),
        sorted(expected.map(str::to_owned).to_vec())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_that_a_canary_saw_convicts_although_the_gate_saw_silence() {
    let world = World::start().await;
    world.until("True", "NoEgress").await;
    world.fakes.one_way.store(true, Ordering::SeqCst);
    let seal = world.until("False", "NotEnforced").await;
    assert!(
        seal.sealed.message.contains("over UDP"),
        "{}",
        seal.sealed.message
    );
    while world.gate_state() != State::Open {
        sleep(Duration::from_millis(20)).await;
    }
    world.fakes.one_way.store(false, Ordering::SeqCst);
    world.until("True", "NoEgress").await;
    assert_eq!(world.gate_state(), State::Proven);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_nobody_answers_is_tried_again() {
    let mut world = World::start().await;
    world.until("True", "NoEgress").await;
    world.written.mute.store(true, Ordering::SeqCst);
    world.policies.apply_watcher_event(&Event::Apply(hole()));
    world.until("False", "PolicyWidens").await;
    let deletions = || {
        let written = world.written.all();
        written
            .iter()
            .filter(|line| line.starts_with("delete "))
            .count()
    };
    let begun = Instant::now();
    while deletions() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(40), "it waits");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_controls_silence_proves_nothing_and_all_is_well_when_they_are_back() {
    let world = World::start().await;
    world.until("True", "NoEgress").await;
    world.fakes.canaries_down.store(true, Ordering::SeqCst);
    let seal = world.until("Unknown", "ControlFailed").await;
    assert!(
        seal.sealed.message.contains("it answered 503"),
        "{}",
        seal.sealed.message
    );
    assert_eq!(world.gate_state(), State::Stale);
    assert!(
        world
            .board
            .get("sealed-pod")
            .unwrap()
            .report
            .as_ref()
            .unwrap()
            .sealed
    );
    world.fakes.canaries_down.store(false, Ordering::SeqCst);
    world.until("True", "NoEgress").await;
}

/// They obey, and what they heard nobody knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canaries_that_do_not_say_what_they_heard_are_no_controls() {
    let world = World::start().await;
    world.until("True", "NoEgress").await;
    world.fakes.canaries_mute.store(true, Ordering::SeqCst);
    let seal = world.until("Unknown", "ControlFailed").await;
    assert!(
        seal.sealed.message.contains("could not be asked"),
        "{}",
        seal.sealed.message
    );
    world.fakes.canaries_mute.store(false, Ordering::SeqCst);
    world.until("True", "NoEgress").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_connects_without_a_policy_that_explains_it_is_not_enforced() {
    let world = World::start().await;
    world.fakes.hole.store(true, Ordering::SeqCst);
    let seal = world.until("False", "NotEnforced").await;
    assert!(
        seal.sealed.message.contains("canary/other-node/tcp4"),
        "{}",
        seal.sealed.message
    );
    assert_eq!(world.gate_state(), State::Open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_restarted_or_heard_a_faster_clock_is_proven_as_ever() {
    let world = World::start().await;
    let conflicts = || world.fakes.conflicts.load(Ordering::SeqCst);
    world.until("True", "NoEgress").await;
    // Nobody knows the session before the first report; rounds overlap until it is there.
    let at_first = conflicts();
    assert!((1..=4).contains(&at_first), "{at_first}");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(conflicts(), at_first, "one request for each round");

    *world.fakes.machine.lock().unwrap() = machine();
    while world.gate_state() != State::Proven {
        sleep(Duration::from_millis(20)).await;
    }
    let after_restart = conflicts();
    assert!(after_restart > at_first);

    // A leader whose clock was an hour ahead has been here, with one challenge that proves nothing.
    let seq = {
        let mut machine = world.fakes.machine.lock().unwrap();
        let ChallengeConflict { session, last } = machine.conflict();
        let challenge = Challenge {
            v: VERSION,
            pod_uid: "sealed-pod".to_owned(),
            nonce: new_nonce(),
            session: Some(session),
            seq: last + 3_600_000,
            validity_ms: 1,
            closure: Closure::Equal,
            open: None,
            targets: Vec::new(),
        };
        let seq = challenge.seq;
        machine.begin(challenge, Instant::now()).unwrap();
        seq
    };
    let last = || world.fakes.machine.lock().unwrap().conflict().last;
    while last() < seq + 3 {
        assert_eq!(world.gate_state(), State::Proven, "its rounds go on");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        conflicts(),
        after_restart + 1,
        "asked once, known from then on"
    );
}
