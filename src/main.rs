//! Parse and dispatch.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    sealroom::cli::Cli::parse().run()
}
