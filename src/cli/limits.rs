//! Flags of `sealroom gate` about how much may be under way, wait, and be taken by a caller, and how long it may take.

use std::time::Duration;

use crate::gate::doubts::{self, IN_VAIN, QUESTION};
use crate::gate::engine_view::{self, LOAD_LIMIT, START_LIMIT, WRONG_LIMIT};
use crate::gate::listen::READER_PATIENCE;
use crate::gate::{Patience, budgets, queue};

/// How long it may take.
#[derive(Debug, clap::Args)]
pub struct PatienceArgs {
    /// Seconds for a whole answer, however much of it comes
    #[arg(long = "answer-seconds", env = "SEALROOM_ANSWER_SECONDS", value_name = "SECONDS", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    answer: u64,
    // From here on for tests alone: no variable of a pod's environment changes these.
    /// Seconds for a client to send its whole body
    #[arg(long = "body-seconds", value_name = "SECONDS", hide = true, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    body: u64,
    /// Seconds for a client to take some of its answer
    #[arg(long = "reader-seconds", value_name = "SECONDS", hide = true, default_value_t = READER_PATIENCE.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3_600))]
    reader: u64,
    /// Seconds for an engine to listen after its start
    #[arg(long = "start-seconds", value_name = "SECONDS", hide = true, default_value_t = START_LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    start: u64,
    /// Seconds for an engine to load
    #[arg(long = "load-seconds", value_name = "SECONDS", hide = true, default_value_t = LOAD_LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    load: u64,
    /// Seconds for an engine to answer rightly again
    #[arg(long = "wrong-seconds", value_name = "SECONDS", hide = true, default_value_t = WRONG_LIMIT.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wrong: u64,
    /// Seconds that a client hears nothing before its going counts
    #[arg(long = "in-vain-seconds", value_name = "SECONDS", hide = true, default_value_t = IN_VAIN.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    in_vain: u64,
    /// Seconds for an engine that is doubted to answer the gate's own question
    #[arg(long = "question-seconds", value_name = "SECONDS", hide = true, default_value_t = QUESTION.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    question: u64,
}

impl PatienceArgs {
    /// As the gate takes it.
    #[must_use]
    pub fn config(&self) -> Patience {
        Patience {
            answer: Duration::from_secs(self.answer),
            body: Duration::from_secs(self.body),
            reader: Duration::from_secs(self.reader),
            engine: engine_view::Limits {
                start: Duration::from_secs(self.start),
                load: Duration::from_secs(self.load),
                wrong: Duration::from_secs(self.wrong),
            },
            doubts: doubts::Limits {
                in_vain: Duration::from_secs(self.in_vain),
                question: Duration::from_secs(self.question),
            },
        }
    }
}

/// How much at once.
#[derive(Debug, clap::Args)]
pub struct QueueArgs {
    /// Most requests that the engine has at once
    #[arg(long, env = "SEALROOM_MAX_CONCURRENT", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    max_concurrent: u16,
    /// Most requests that wait for it
    #[arg(long, env = "SEALROOM_MAX_QUEUED", default_value_t = 256, value_parser = clap::value_parser!(u16).range(0..=4_096))]
    max_queued: u16,
    /// How long a request waits before it is refused
    #[arg(long, env = "SEALROOM_QUEUE_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    queue_seconds: u64,
}

impl QueueArgs {
    /// As the gate takes it.
    #[must_use]
    pub fn config(&self) -> queue::Config {
        queue::Config {
            concurrent: self.max_concurrent.into(),
            queued: self.max_queued.into(),
            patience: Duration::from_secs(self.queue_seconds),
        }
    }
}

/// What each caller may take.
#[derive(Debug, clap::Args)]
pub struct BudgetArgs {
    /// Most requests of each caller in a minute
    #[arg(long, env = "SEALROOM_REQUESTS_PER_MINUTE", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_minute: Option<u32>,
    /// Most tokens of each caller in a minute, read and written
    #[arg(long, env = "SEALROOM_TOKENS_PER_MINUTE", value_parser = clap::value_parser!(u32).range(1..))]
    tokens_per_minute: Option<u32>,
    /// Most tokens of each caller in a day, read and written
    #[arg(long, env = "SEALROOM_TOKENS_PER_DAY", value_parser = clap::value_parser!(u32).range(1..))]
    tokens_per_day: Option<u32>,
}

impl BudgetArgs {
    /// As the gate takes it.
    #[must_use]
    pub fn config(&self) -> budgets::Config {
        budgets::Config {
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            tokens_per_day: self.tokens_per_day,
        }
    }
}
