use std::io::ErrorKind;

use super::*;
use crate::seal::check::{Malformed, new_nonce};
use crate::seal::lease::Word;
use crate::seal::wire::{Control, Proto, State, TargetKind, VERSION};

mod openings;
mod orders;
mod properties;

const POD: &str = "7d0e4f0c-5b1e-4c7e-9d55-6a4d2f0f6b10";
const SILENT: Observation = Observation::Silence { waited_ms: 1000 };
const VALIDITY: Duration = Duration::from_secs(90);
const GRACE: Duration = Duration::from_secs(30);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn target(name: &str, required: bool, control: Control) -> Target {
    Target {
        name: name.to_owned(),
        required,
        kind: TargetKind::Dial,
        addr: "10.0.0.1:443".parse().unwrap(),
        proto: Proto::Tcp,
        control,
    }
}

fn session() -> Session {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

/// A required target, a tripwire, and the own node.
fn targets() -> Vec<Target> {
    vec![
        target(
            "canary/other-node/tcp4",
            true,
            Control::Ok { rtt_micros: 1 },
        ),
        target("metadata/tcp4", false, Control::None),
        target("own-node/tcp4", false, Control::None),
    ]
}

fn challenge(seq: u64) -> Challenge {
    Challenge {
        v: VERSION,
        pod_uid: POD.to_owned(),
        nonce: new_nonce(),
        session: Some(session()),
        seq,
        validity_ms: 90_000,
        closure: Closure::Equal,
        open: None,
        targets: targets(),
    }
}

fn widened(seq: u64) -> Challenge {
    Challenge {
        closure: Closure::Widened {
            detail: "allow-dns allows 53/UDP".to_owned(),
        },
        ..challenge(seq)
    }
}

fn order() -> Opening {
    Opening {
        reason: "EgressOpen".to_owned(),
        detail: "a canary saw it".to_owned(),
    }
}

/// A machine and a clock.
struct Gate {
    machine: Machine,
    now: Instant,
    seq: u64,
}

impl Gate {
    fn new(when_stale: WhenStale, own_node: OwnNode) -> Self {
        let config = Config {
            when_stale,
            grace: GRACE,
            own_node,
        };
        Self {
            machine: Machine::new(config, POD, session()),
            now: Instant::now(),
            seq: 1,
        }
    }

    fn serving(when_stale: WhenStale) -> Self {
        let mut gate = Self::new(when_stale, OwnNode::Report);
        gate.prove();
        gate
    }

    fn begin(&mut self, change: impl FnOnce(&mut Challenge)) -> Round {
        self.seq += 1;
        let mut challenge = challenge(self.seq);
        challenge.session = Some(self.machine.session());
        change(&mut challenge);
        self.machine.begin(challenge, self.now).unwrap()
    }

    fn round(&mut self, observations: [Observation; 3]) {
        let round = self.begin(|_| {});
        self.machine.finish(round, &observations, self.now);
    }

    fn good(&mut self) {
        self.round([SILENT, SILENT, SILENT]);
    }

    fn prove(&mut self) {
        for _ in 0..5 {
            self.good();
            self.now += ms(750);
        }
        self.now -= ms(750);
        assert_eq!(self.state(), State::Proven);
    }

    fn state(&self) -> State {
        self.machine.state(self.now)
    }

    fn serves(&self) -> bool {
        self.machine.serves(self.now)
    }

    fn reason(&self) -> &str {
        self.machine
            .opening()
            .map_or("", |opening| opening.reason.as_str())
    }
}

fn fresh() -> Gate {
    Gate::new(WhenStale::Serve, OwnNode::Report)
}

#[test]
fn a_start_is_unproven_and_holds_the_lease() {
    let gate = fresh();
    assert_eq!(gate.state(), State::Unproven);
    assert!(!gate.serves());
    assert_eq!(gate.machine.lease(gate.now, true), Word::Held);
    assert_eq!(gate.machine.self_targets(), None);
}

#[test]
fn the_first_proof_takes_five_rounds() {
    let mut gate = fresh();
    for _ in 0..4 {
        gate.good();
        gate.now += ms(5_000);
    }
    assert_eq!(gate.state(), State::Unproven);
    gate.good();
    assert_eq!(gate.state(), State::Proven);
    assert_eq!(gate.machine.lease(gate.now, false), Word::Granted);
}

#[test]
fn the_first_proof_takes_three_seconds() {
    let mut gate = fresh();
    for _ in 0..30 {
        gate.good();
        gate.now += ms(100);
    }
    // The thirtieth began 2.9 s after the first.
    assert_eq!(gate.state(), State::Unproven);
    gate.good();
    assert_eq!(gate.state(), State::Proven);
}

#[test]
fn the_first_proof_survives_more_rounds_than_it_remembers() {
    let mut gate = fresh();
    for _ in 0..=300 {
        gate.good();
        gate.now += ms(10);
    }
    assert_eq!(gate.state(), State::Proven);
}

#[test]
fn good_rounds_that_are_older_than_their_validity_do_not_add_up() {
    let mut gate = fresh();
    for _ in 0..20 {
        gate.good();
        gate.now += VALIDITY / 4;
    }
    assert_eq!(gate.state(), State::Unproven);
}

#[test]
fn a_round_that_proves_nothing_sets_the_count_back() {
    type Spoil = fn(&mut Challenge);
    let failed: Spoil = |c| c.targets[0].control = Control::Failed;
    let unevaluated: Spoil = |c| c.closure = Closure::Unknown;
    let no_required: Spoil = |c| c.targets[0].required = false;
    let nothing: Spoil = |c| c.targets.clear();
    for spoil in [failed, unevaluated, no_required, nothing] {
        let mut gate = fresh();
        for _ in 0..4 {
            gate.good();
            gate.now += ms(750);
        }
        let round = gate.begin(spoil);
        gate.machine
            .finish(round, &[SILENT, SILENT, SILENT], gate.now);
        gate.good();
        assert_eq!(gate.state(), State::Unproven);
        gate.prove();
    }
}

#[test]
fn an_error_or_a_missing_observation_is_no_proof() {
    let error = Observation::Error(ErrorKind::AddrNotAvailable);
    for observations in [vec![error, SILENT, SILENT], vec![SILENT, SILENT], vec![]] {
        let mut gate = fresh();
        for _ in 0..10 {
            let round = gate.begin(|_| {});
            gate.machine.finish(round, &observations, gate.now);
            gate.now += ms(750);
        }
        assert_eq!(gate.state(), State::Unproven);
    }
}

#[test]
fn rounds_may_end_in_any_order() {
    let mut gate = fresh();
    let mut begun = Vec::new();
    for _ in 0..5 {
        begun.push(gate.begin(|_| {}));
        gate.now += ms(750);
    }
    let newest = begun[4].nonce().to_owned();
    while let Some(round) = begun.pop() {
        gate.machine
            .finish(round, &[SILENT, SILENT, SILENT], gate.now);
    }
    assert_eq!(gate.state(), State::Proven);
    assert_eq!(gate.machine.findings().nonce, newest);
}

#[test]
fn a_late_round_neither_shortens_nor_lengthens_a_proof() {
    let mut gate = Gate::serving(WhenStale::Serve);
    let late = gate.begin(|_| {});
    gate.now += ms(4_000);
    gate.good();
    let end = gate.machine.next_change(gate.now);
    assert_eq!(end, Some(gate.now + VALIDITY));
    gate.machine
        .finish(late, &[SILENT, SILENT, SILENT], gate.now);
    assert_eq!(gate.machine.next_change(gate.now), end);
}

#[test]
fn newer_doubt_about_the_policies_outweighs_an_older_round() {
    let mut gate = Gate::serving(WhenStale::Serve);
    let end = gate.machine.next_change(gate.now);
    gate.now += ms(10_000);
    let older = gate.begin(|_| {});
    let doubt = gate.begin(|c| c.closure = Closure::Unknown);
    for round in [older, doubt] {
        gate.machine
            .finish(round, &[SILENT, SILENT, SILENT], gate.now);
    }
    assert_eq!(gate.state(), State::Proven, "doubt opens nothing");
    assert_eq!(gate.machine.next_change(gate.now), end, "nor does it renew");
}

#[test]
fn stale_under_serve_serves_and_lets_the_engine_start() {
    let mut gate = Gate::serving(WhenStale::Serve);
    gate.now += VALIDITY + ms(3_600_000);
    assert_eq!(gate.state(), State::Stale);
    assert!(gate.serves());
    assert_eq!(gate.machine.lease(gate.now, false), Word::Granted);
    gate.good();
    assert_eq!(gate.state(), State::Proven);
}

#[test]
fn stale_under_refuse_serves_for_the_grace_time_and_starts_nothing() {
    let mut gate = Gate::serving(WhenStale::Refuse);
    let end = gate.machine.next_change(gate.now).unwrap();
    gate.now = end;
    assert_eq!(gate.state(), State::Stale);
    assert!(gate.serves());
    assert_eq!(gate.machine.lease(gate.now, true), Word::Granted);
    assert_eq!(gate.machine.lease(gate.now, false), Word::Held);
    assert_eq!(gate.machine.next_change(gate.now), Some(end + GRACE));
    gate.now = end + GRACE;
    assert!(!gate.serves());
    assert_eq!(gate.machine.lease(gate.now, true), Word::Revoked);
    assert_eq!(gate.machine.next_change(gate.now), None);
    gate.good();
    assert!(gate.serves());
}

#[test]
fn a_self_probe_opens_and_never_renews() {
    let mut gate = Gate::serving(WhenStale::Serve);
    let end = gate.machine.next_change(gate.now);
    let (targets, nonce) = gate.machine.self_targets().unwrap();
    assert_eq!(targets, self::targets());
    assert!(!nonce.is_empty());
    gate.now += ms(5_000);
    gate.machine.self_probe(&targets, &[SILENT, SILENT, SILENT]);
    assert_eq!(gate.machine.next_change(gate.now), end);
    let reached = [SILENT, Observation::Answered, SILENT];
    gate.machine.self_probe(&targets, &reached);
    assert_eq!((gate.state(), gate.reason()), (State::Open, "NotEnforced"));
}
