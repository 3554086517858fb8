use super::*;

const DRAIN: Duration = Duration::from_secs(100);

fn running(now: Instant) -> Supervisor {
    let mut supervisor = Supervisor::new(DRAIN, now);
    let started = supervisor.handle(Input::Word(Word::Granted), now);
    assert_eq!(started, [Action::Start, Action::Say(Runtime::Starting)]);
    let listening = supervisor.handle(Input::Listening, now);
    assert_eq!(listening, [Action::Say(Runtime::Running)]);
    supervisor
}

const KILLED: [Action; 2] = [Action::Kill, Action::Say(Runtime::Waiting)];

#[test]
fn nothing_starts_without_a_grant() {
    let now = Instant::now();
    let mut supervisor = Supervisor::new(DRAIN, now);
    let others = [
        Input::Tick,
        Input::Word(Word::Held),
        Input::Word(Word::Revoked),
        Input::Word(Word::Drained),
    ];
    for input in others {
        assert_eq!(supervisor.handle(input, now), []);
    }
    assert_eq!(supervisor.phase(), Runtime::Waiting);
}

#[rstest::rstest]
#[case::revoked(Input::Word(Word::Revoked))]
#[case::held(Input::Word(Word::Held))]
#[case::gate_gone(Input::Lost)]
fn a_lost_lease_kills_and_the_next_one_starts_at_once(#[case] loss: Input) {
    let now = Instant::now();
    let mut supervisor = running(now);
    assert_eq!(supervisor.handle(loss, now), KILLED);
    let later = now + Duration::from_secs(1);
    assert_eq!(supervisor.handle(Input::Tick, later), []);
    let again = supervisor.handle(Input::Word(Word::Granted), later);
    assert_eq!(again, [Action::Start, Action::Say(Runtime::Starting)]);
}

#[test]
fn silence_is_a_lost_lease() {
    let now = Instant::now();
    let mut supervisor = running(now);
    let almost = now + SILENCE - Duration::from_millis(1);
    assert_eq!(supervisor.handle(Input::Tick, almost), []);
    assert_eq!(supervisor.handle(Input::Tick, now + SILENCE), KILLED);
}

#[test]
fn an_engine_that_ends_by_itself_waits_longer_each_time() {
    let mut now = Instant::now();
    let mut supervisor = running(now);
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        let ended = supervisor.handle(Input::Exited(1), now);
        assert_eq!(
            ended,
            [Action::Kill, Action::Say(Runtime::Ended { code: 1 })]
        );
        let early = now + Duration::from_millis(pause * 1000 - 1);
        assert_eq!(supervisor.handle(Input::Word(Word::Granted), early), []);
        now += Duration::from_secs(pause);
        let start = supervisor.handle(Input::Word(Word::Granted), now);
        assert_eq!(start, [Action::Start, Action::Say(Runtime::Starting)]);
    }
    now += STEADY;
    supervisor.handle(Input::Word(Word::Granted), now);
    supervisor.handle(Input::Exited(0), now);
    now += BACK_OFF;
    assert!(
        supervisor
            .handle(Input::Word(Word::Granted), now)
            .contains(&Action::Start)
    );
}

#[test]
fn termination_waits_for_the_last_stream() {
    let now = Instant::now();
    let mut supervisor = running(now);
    assert_eq!(
        supervisor.handle(Input::Terminate, now),
        [Action::Say(Runtime::Stopping)]
    );
    let later = now + Duration::from_secs(50);
    assert_eq!(supervisor.handle(Input::Word(Word::Granted), later), []);
    assert_eq!(
        supervisor.handle(Input::Word(Word::Drained), later),
        [Action::Term]
    );
    let ended = supervisor.handle(Input::Exited(0), later);
    assert_eq!(
        ended,
        [
            Action::Kill,
            Action::Say(Runtime::Ended { code: 0 }),
            Action::Exit
        ]
    );
}

#[test]
fn termination_does_not_wait_for_ever() {
    let now = Instant::now();
    let mut supervisor = running(now);
    supervisor.handle(Input::Terminate, now);
    assert_eq!(
        supervisor.handle(Input::Word(Word::Granted), now + DRAIN),
        [Action::Term]
    );
    let killed = supervisor.handle(Input::Word(Word::Granted), now + DRAIN + KILL_AFTER);
    assert_eq!(killed, [KILLED.to_vec(), vec![Action::Exit]].concat());
}

#[test]
fn termination_without_an_engine_is_immediate() {
    let now = Instant::now();
    let mut supervisor = Supervisor::new(DRAIN, now);
    let ended = supervisor.handle(Input::Terminate, now);
    assert_eq!(ended, [Action::Say(Runtime::Stopping), Action::Exit]);
}

#[test]
fn a_revocation_outweighs_the_drain() {
    let now = Instant::now();
    let mut supervisor = running(now);
    supervisor.handle(Input::Terminate, now);
    let killed = supervisor.handle(Input::Word(Word::Revoked), now);
    assert_eq!(killed, [KILLED.to_vec(), vec![Action::Exit]].concat());
}

#[test]
fn drained_without_termination_ends_the_engine_and_waits() {
    let now = Instant::now();
    let mut supervisor = running(now);
    assert_eq!(
        supervisor.handle(Input::Word(Word::Drained), now),
        [Action::Term]
    );
    let ended = supervisor.handle(Input::Exited(0), now);
    assert!(!ended.contains(&Action::Exit));
    let later = now + Duration::from_secs(1);
    assert_eq!(supervisor.handle(Input::Word(Word::Drained), later), []);
    assert!(
        supervisor
            .handle(Input::Word(Word::Granted), later)
            .contains(&Action::Start)
    );
}
