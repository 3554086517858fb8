//! The end-to-end program: parses and dispatches.

use std::process::ExitCode;

use clap::Parser;
use sealroom_e2e::{cli::Cli, tool};

#[tokio::main]
async fn main() -> ExitCode {
    // In the images of hostile runtimes this program has the engine's name, arguments and place.
    let mut arguments = std::env::args();
    let result = if arguments
        .next()
        .is_some_and(|name| name.ends_with("/llama-server"))
    {
        tool::run_as_engine(arguments).await
    } else {
        Cli::parse().run().await
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
