//! When the engine runs: a pure state machine with the time passed in.
//!
//! The lease decides. Without it nothing runs, and launch goes on waiting for the next one: it ends only
//! when it was told to terminate, since a container that exits is kept from starting by the kubelet's
//! back-off.

use std::time::{Duration, Instant};

use crate::seal::lease::{Runtime, Word};

/// The lease is lost when the gate said nothing for this long.
pub const SILENCE: Duration = Duration::from_secs(3);
/// From the engine's SIGTERM to its SIGKILL.
pub const KILL_AFTER: Duration = Duration::from_secs(5);
/// First pause before an engine that ended by itself is started again; it doubles.
pub const BACK_OFF: Duration = Duration::from_secs(1);
/// The longest such pause.
pub const MAX_BACK_OFF: Duration = Duration::from_secs(30);
/// An engine that ran for this long starts the pauses anew.
const STEADY: Duration = Duration::from_secs(60);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The gate spoke.
    Word(Word),
    /// The connection to the gate ended.
    Lost,
    /// The engine ended by itself, or could not be started: exit code, or 128 plus the signal.
    Exited(i32),
    /// The engine's socket is there.
    Listening,
    /// launch got SIGTERM.
    Terminate,
    /// Time passed.
    Tick,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Unlink the stale socket and start the engine.
    Start,
    /// SIGTERM to the engine.
    Term,
    /// SIGKILL to every process but launch.
    Kill,
    /// Tell the gate.
    Say(Runtime),
    /// End launch itself, with exit code 0.
    Exit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Idle { not_before: Instant },
    Alive { since: Instant, listening: bool },
    Ending { kill_at: Instant },
}

/// The state of launch.
#[derive(Debug)]
pub struct Supervisor {
    engine: Engine,
    /// The gate's last word and when it came.
    heard: Option<(Word, Instant)>,
    back_off: Duration,
    drain: Duration,
    /// Set once launch was told to terminate: when it no longer waits for the last stream.
    deadline: Option<Instant>,
}

impl Supervisor {
    /// Nothing runs, nobody was heard. `drain` is how long SIGTERM waits for the last stream.
    #[must_use]
    pub fn new(drain: Duration, now: Instant) -> Self {
        Self {
            engine: Engine::Idle { not_before: now },
            heard: None,
            back_off: BACK_OFF,
            drain,
            deadline: None,
        }
    }

    /// What a gate that has just been reached is told.
    #[must_use]
    pub fn phase(&self) -> Runtime {
        match self.engine {
            Engine::Alive {
                listening: true, ..
            } => Runtime::Running,
            Engine::Alive { .. } => Runtime::Starting,
            Engine::Idle { .. } | Engine::Ending { .. } => Runtime::Waiting,
        }
    }

    /// True while there is an engine that was not told to end.
    #[must_use]
    pub fn alive(&self) -> bool {
        matches!(self.engine, Engine::Alive { .. })
    }

    /// Takes one event and says what follows.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Word(word) => self.heard = Some((word, now)),
            Input::Lost => self.heard = None,
            Input::Terminate => {
                if self.deadline.is_none() {
                    self.deadline = Some(now + self.drain);
                    actions.push(Action::Say(Runtime::Stopping));
                }
            }
            Input::Listening => {
                if let Engine::Alive {
                    since,
                    listening: false,
                } = self.engine
                {
                    self.engine = Engine::Alive {
                        since,
                        listening: true,
                    };
                    actions.push(Action::Say(Runtime::Running));
                }
            }
            Input::Exited(code) => self.exited(code, now, &mut actions),
            Input::Tick => {}
        }
        self.settle(now, &mut actions);
        actions
    }

    fn exited(&mut self, code: i32, now: Instant, actions: &mut Vec<Action>) {
        let not_before = match self.engine {
            Engine::Alive { since, .. } => {
                if now.duration_since(since) >= STEADY {
                    self.back_off = BACK_OFF;
                }
                let not_before = now + self.back_off;
                self.back_off = (self.back_off * 2).min(MAX_BACK_OFF);
                not_before
            }
            Engine::Ending { .. } => now,
            Engine::Idle { .. } => return,
        };
        // Its children go with it.
        actions.push(Action::Kill);
        actions.push(Action::Say(Runtime::Ended { code }));
        self.engine = Engine::Idle { not_before };
    }

    fn word(&self, now: Instant) -> Option<&Word> {
        self.heard
            .as_ref()
            .filter(|(_, at)| now.duration_since(*at) < SILENCE)
            .map(|(word, _)| word)
    }

    fn settle(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let drained = self.word(now) == Some(&Word::Drained);
        let granted = self.word(now) == Some(&Word::Granted);
        let busy = !matches!(self.engine, Engine::Idle { .. });
        let late = self.deadline.is_some_and(|deadline| now >= deadline);
        let overdue = matches!(self.engine, Engine::Ending { kill_at } if now >= kill_at);
        if busy && (overdue || !(granted || drained)) {
            actions.push(Action::Kill);
            actions.push(Action::Say(Runtime::Waiting));
            self.engine = Engine::Idle { not_before: now };
        } else if self.alive() && (drained || late) {
            actions.push(Action::Term);
            self.engine = Engine::Ending {
                kill_at: now + KILL_AFTER,
            };
        }
        if let Engine::Idle { not_before } = self.engine {
            if self.deadline.is_some() {
                actions.push(Action::Exit);
            } else if granted && now >= not_before {
                actions.push(Action::Start);
                actions.push(Action::Say(Runtime::Starting));
                self.engine = Engine::Alive {
                    since: now,
                    listening: false,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
}
