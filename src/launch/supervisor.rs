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
#[path = "supervisor_tests.rs"]
mod tests;
