//! Any history of challenges, results, self probes, orders and waits, against a plain account of the evidence.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Begin(Kind),
    /// Ends one of the rounds under way.
    Finish(usize, Seen),
    SelfProbe(Seen),
    Order,
    /// Sends the last challenge again.
    Replay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sound,
    Doubtful,
    Widened,
    Ordered,
    ControlFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Required,
    Tripwire,
    OwnNode,
    Error,
}

impl Seen {
    fn observations(self) -> [Observation; 3] {
        let mut all = [SILENT, SILENT, SILENT];
        match self {
            Self::Nothing => {}
            Self::Required => all[0] = Observation::Answered,
            Self::Tripwire => all[1] = Observation::Connected,
            Self::OwnNode => all[2] = Observation::Connected,
            Self::Error => all[0] = Observation::Error(ErrorKind::Other),
        }
        all
    }
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        30 => Just(Seen::Nothing),
        1 => Just(Seen::Required),
        1 => Just(Seen::Tripwire),
        1 => Just(Seen::OwnNode),
        1 => Just(Seen::Error),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        30 => Just(Kind::Sound),
        1 => Just(Kind::Doubtful),
        1 => Just(Kind::Widened),
        1 => Just(Kind::Ordered),
        1 => Just(Kind::ControlFailed),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..1_500_u64).prop_map(Step::Wait),
        1 => (0..120_000_u64).prop_map(Step::Wait),
        20 => kind().prop_map(Step::Begin),
        20 => (any::<usize>(), seen()).prop_map(|(which, seen)| Step::Finish(which, seen)),
        2 => seen().prop_map(Step::SelfProbe),
        1 => Just(Step::Order),
        1 => Just(Step::Replay),
    ]
}

/// What is known of a round, kept apart from the machine.
struct Account {
    kind: Kind,
    begun: Instant,
    begun_at: usize,
}

struct Run {
    gate: Gate,
    under_way: Vec<(Round, Account)>,
    last: Option<Challenge>,
    /// Good results: when each round began and at which step.
    good: Vec<(Instant, usize)>,
    /// The step of the last opening, or of the last failure while there was no proof.
    void_at: usize,
}

impl Run {
    fn new(when_stale: WhenStale) -> Self {
        Self {
            gate: Gate::new(when_stale, OwnNode::Report),
            under_way: Vec::new(),
            last: None,
            good: Vec::new(),
            void_at: 0,
        }
    }

    fn proven(&self) -> bool {
        matches!(self.gate.state(), State::Proven | State::Stale)
    }

    fn begin(&mut self, kind: Kind, at: usize) {
        self.gate.seq += 1;
        let mut challenge = challenge(self.gate.seq);
        match kind {
            Kind::Sound => {}
            Kind::Doubtful => challenge.closure = Closure::Unknown,
            Kind::Widened => challenge.closure = widened(1).closure,
            Kind::Ordered => challenge.open = Some(order()),
            Kind::ControlFailed => challenge.targets[0].control = Control::Failed,
        }
        self.last = Some(challenge.clone());
        let now = self.gate.now;
        let round = self.gate.machine.begin(challenge, now).unwrap();
        if matches!(kind, Kind::Widened | Kind::Ordered) {
            self.void_at = at;
            assert_eq!(self.gate.state(), State::Open, "opens at once");
        }
        let account = Account {
            kind,
            begun: now,
            begun_at: at,
        };
        self.under_way.push((round, account));
    }

    fn finish(&mut self, which: usize, seen: Seen, at: usize) {
        if self.under_way.is_empty() {
            return;
        }
        let (round, account) = self.under_way.remove(which % self.under_way.len());
        let before = self.proven();
        let now = self.gate.now;
        self.gate.machine.finish(round, &seen.observations(), now);
        if matches!(seen, Seen::Required | Seen::Tripwire) {
            self.void_at = at;
            assert_eq!(self.gate.state(), State::Open, "reached is open");
        } else if account.kind == Kind::Sound && seen != Seen::Error {
            self.good.push((account.begun, account.begun_at));
        } else if !before && !matches!(account.kind, Kind::Widened | Kind::Ordered) {
            self.void_at = at;
        }
    }

    fn step(&mut self, step: Step, at: usize) {
        match step {
            Step::Wait(millis) => self.gate.now += ms(millis),
            Step::Begin(kind) => self.begin(kind, at),
            Step::Finish(which, seen) => self.finish(which, seen, at),
            Step::SelfProbe(seen) => {
                let before = (
                    self.gate.serves(),
                    self.gate.machine.next_change(self.gate.now),
                );
                let targets = targets();
                self.gate.machine.self_probe(&targets, &seen.observations());
                if matches!(seen, Seen::Required | Seen::Tripwire) {
                    self.void_at = at;
                    assert_eq!(self.gate.state(), State::Open);
                } else {
                    let after = (
                        self.gate.serves(),
                        self.gate.machine.next_change(self.gate.now),
                    );
                    assert_eq!(before, after, "a self probe renews nothing");
                }
            }
            Step::Order => {
                self.gate.machine.ordered_open(order());
                self.void_at = at;
                assert_eq!(self.gate.state(), State::Open);
            }
            Step::Replay => {
                if let Some(last) = self.last.clone() {
                    let before = format!("{:?}", self.gate.machine);
                    let refused = self.gate.machine.begin(last, self.gate.now);
                    assert!(matches!(refused, Err(Refused::Sequence { .. })));
                    assert_eq!(before, format!("{:?}", self.gate.machine));
                }
            }
        }
    }

    /// The claim itself: whoever is served is served on evidence.
    fn account_for(&self) {
        let gate = &self.gate;
        let counted: Vec<Instant> = self
            .good
            .iter()
            .filter(|(_, begun_at)| *begun_at > self.void_at)
            .map(|(begun, _)| *begun)
            .collect();
        let serves = gate.serves();
        if serves || self.proven() {
            let span = *counted.iter().max().unwrap() - *counted.iter().min().unwrap();
            assert!(counted.len() >= FIRST_ROUNDS && span >= FIRST_SPAN);
        }
        match gate.state() {
            State::Proven => {
                let newest = *counted.iter().max().unwrap();
                assert!(serves && gate.now < newest + VALIDITY);
            }
            // When a proof must end is said by `Proven`; newer doubt may end it sooner.
            State::Stale => {}
            State::Unproven | State::Open => assert!(!serves),
        }
        for runs in [true, false] {
            let granted = gate.machine.lease(gate.now, runs) == Word::Granted;
            assert!(!granted || serves, "no engine without service");
        }
        assert_eq!(
            gate.machine.opening().is_some(),
            gate.state() == State::Open
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nobody_is_served_without_a_proof(
        steps in prop::collection::vec(step(), 1..120),
        refuse in any::<bool>(),
    ) {
        let mut run = Run::new(if refuse { WhenStale::Refuse } else { WhenStale::Serve });
        for (at, step) in steps.into_iter().enumerate() {
            run.step(step, at + 1);
            run.account_for();
        }
    }

    /// Whatever happened, good rounds that overlap bring the proof back, though older ones straggle in between.
    #[test]
    fn good_rounds_always_lead_back(steps in prop::collection::vec(step(), 1..120)) {
        let mut run = Run::new(WhenStale::Serve);
        for (at, step) in steps.into_iter().enumerate() {
            run.step(step, at + 1);
        }
        // Nothing that was found before may still be under way as a failure.
        run.under_way.retain(|(_, account)| account.kind == Kind::Sound);
        let mut begun = VecDeque::new();
        for at in 0..7 {
            begun.push_back(run.gate.begin(|_| {}));
            run.finish(0, Seen::Nothing, 1_000 + at);
            run.gate.now += ms(750);
            if begun.len() > 1 {
                let round = begun.pop_front().unwrap();
                let now = run.gate.now;
                run.gate.machine.finish(round, &Seen::Nothing.observations(), now);
            }
        }
        prop_assert_eq!(run.gate.state(), State::Proven);
    }
}
