//! The end-to-end program: parses and dispatches.

use std::process::ExitCode;

use clap::Parser;
use sealroom_e2e::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
