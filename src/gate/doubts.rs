//! Whether requests give reason to doubt an engine that says it is healthy: pure, with the time passed in.
//!
//! Requests convict nobody, since what fails may fail by its own fault. Where too many of a model fail in a row, the gate
//! asks it the question that it asked before it served, and the answer decides.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::audit::Outcome;
use super::passing::ENGINE_PATIENCE;

/// So many requests that failed in a row are a doubt. Of an engine that fails each tenth by chance it comes about once in
/// 100,000, and few clients pay for one that fails all.
const FAILURES: u32 = 5;
/// So many that came too late: each has cost its client a minute at the least.
const TOO_LATE: u32 = 3;
/// A client that goes after it heard nothing for so long went for that. Clients give up before the gate does, so without
/// them an engine that hangs would be found by nobody.
pub const IN_VAIN: Duration = Duration::from_secs(60);
/// For the question where nobody waits for anything else: as long as for the first one. The engine may still compute a
/// prompt whose client has gone, read weights that the kernel has dropped from memory, or load the model.
pub const QUESTION: Duration = Duration::from_secs(600);

/// How long may be waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// By a client that goes, before that counts.
    pub in_vain: Duration,
    /// For the question, by an engine that has nothing else to do. One that has may take as long as for a request before.
    pub question: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_vain: IN_VAIN,
            question: QUESTION,
        }
    }
}

/// How a request ended that the engine had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a whole answer that is no error.
    Good,
    /// With an answer that says what the client did wrong.
    Refused,
    /// With an error, with half an answer, or with none.
    Failed,
    /// Too late.
    Late,
    /// Its client went. The engine owed it something since then, if it did.
    Gone(Option<Instant>),
}

impl End {
    /// Of a request that got no reply of the engine's own.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::UpstreamError => Self::Failed,
            Outcome::Timeout => Self::Late,
            _ => Self::Refused,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing. A question that is under way is dropped.
    Rest,
    /// Ask the model of this name, and nobody else.
    Ask(String),
    /// Wait for the answer.
    Wait,
    /// There will be none.
    Convict,
}

/// What requests have shown of each model since the engine answered the gate rightly.
#[derive(Debug)]
pub struct Doubts {
    limits: Limits,
    models: BTreeMap<String, Model>,
    /// Requests that the engine has now.
    under_way: usize,
    /// When the last one ended.
    ended: Instant,
    /// When something of a good answer last came, of whichever model: of those that are loaded by turns, one in steady use
    /// leaves the others no turn.
    heard: Instant,
    question: Option<Question>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Model {
    /// In a row.
    failed: u32,
    /// In a row, too.
    late: u32,
}

#[derive(Clone, Debug)]
struct Question {
    model: String,
    since: Instant,
}

impl Model {
    fn is_doubted(&self) -> bool {
        self.failed + self.late >= FAILURES || self.late >= TOO_LATE
    }
}

impl Doubts {
    /// None yet.
    #[must_use]
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            models: BTreeMap::new(),
            under_way: 0,
            ended: now,
            heard: now,
            question: None,
        }
    }

    /// The engine has one request more.
    pub fn begins(&mut self) {
        self.under_way += 1;
    }

    /// Something of a good answer has come.
    pub fn hears(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A request for this model has ended.
    pub fn ends(&mut self, model: &str, end: End, now: Instant) {
        self.under_way = self.under_way.saturating_sub(1);
        self.ended = now;
        let in_vain = self.limits.in_vain;
        if end == End::Good {
            self.heard = now;
        }
        let model = self.models.entry(model.to_owned()).or_default();
        match end {
            End::Good => *model = Model::default(),
            End::Failed => model.failed = model.failed.saturating_add(1),
            End::Late => model.late = model.late.saturating_add(1),
            End::Gone(Some(since)) if now.duration_since(since) >= in_vain => {
                model.late = model.late.saturating_add(1);
            }
            End::Refused | End::Gone(_) => {}
        }
    }

    /// The question was answered rightly; or the engine could not be reached, which others notice, and it is asked again.
    pub fn answered(&mut self, rightly: bool) {
        let question = self.question.take().filter(|_| rightly);
        if let Some(Question { model, .. }) = question {
            self.models.remove(&model);
        }
    }

    /// What requests have shown is over: another engine runs, or this one is asked again anyway.
    pub fn forget(&mut self) {
        self.models.clear();
        self.question = None;
    }

    /// What is to be done now.
    pub fn next(&mut self, now: Instant) -> Next {
        let Some(question) = &self.question else {
            let doubted = self.models.iter().find(|(_, model)| model.is_doubted());
            let Some((name, _)) = doubted else {
                return Next::Rest;
            };
            let name = name.clone();
            self.question = Some(Question {
                model: name.clone(),
                since: now,
            });
            return Next::Ask(name);
        };
        let model = self.models.get(&question.model);
        if !model.is_some_and(Model::is_doubted) {
            // A request got a good answer meanwhile.
            self.question = None;
            return Next::Rest;
        }
        let silent_since = question.since.max(self.heard);
        let idle_since = silent_since.max(self.ended);
        let idle = self.under_way == 0 && now.duration_since(idle_since) >= self.limits.question;
        // What came before the question has that long, and only then it is the question's turn.
        let longest = ENGINE_PATIENCE + self.limits.question;
        if idle || now.duration_since(silent_since) >= longest {
            self.question = None;
            return Next::Convict;
        }
        Next::Wait
    }
}

#[cfg(test)]
#[path = "doubts_tests.rs"]
mod tests;
