//! Flags of `sealroom gate` about how much may be under way, wait, and be taken by a caller.

use std::time::Duration;

use crate::gate::{budgets, queue};

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
