//! `sealroom operator`.

use super::Exit;

/// Flags of `sealroom operator`.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    /// Runs until it is told to stop.
    pub fn run(self) -> Exit {
        Exit::Usage
    }
}
