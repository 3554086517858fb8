//! Attempts to reach somebody.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::dial::{Plan, Protocol};

/// Flags of `dial`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to; may be repeated
    #[arg(long, required = true)]
    to: Vec<SocketAddr>,
    /// Over what; both when not given
    #[arg(long, value_enum)]
    protocol: Option<Protocol>,
    /// How many rounds; 0 for ever
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Milliseconds between rounds
    #[arg(long, default_value_t = 200)]
    pause: u64,
    /// Milliseconds to wait for an answer
    #[arg(long, default_value_t = 1000)]
    patience: u64,
    /// What to send
    #[arg(long, default_value = "sealroom")]
    text: String,
    /// Also write the attempts to this file
    #[arg(long)]
    record: Option<PathBuf>,
}

impl Args {
    /// Dials as long as it is to.
    pub(super) async fn run(self) -> Result<()> {
        let both = vec![Protocol::Tcp, Protocol::Udp];
        let mut plan = Plan {
            to: self.to,
            protocols: self.protocol.map_or(both, |p| vec![p]),
            rounds: self.rounds,
            pause: Duration::from_millis(self.pause),
            patience: Duration::from_millis(self.patience),
            text: self.text,
            record: None,
        };
        if let Some(path) = self.record {
            let file = File::create(&path);
            plan.record =
                Some(file.with_context(|| format!("failed to create {}", path.display()))?);
        }
        plan.run().await
    }
}
