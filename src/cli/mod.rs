//! One file per subcommand: flags to a typed configuration.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod audit;
mod bridge;
mod canary;
mod crds;
mod dumps;
mod files;
mod gate;
mod gate_mcp;
mod gate_models;
mod launch;
mod limits;
mod operator;
mod pin;
mod place;
mod pull;
mod size;
mod status;
mod tokens;

/// What a process says when it ends.
///
/// The codes are the contract with the Jobs' `podFailurePolicy` and with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Trouble that may pass: a retry is worth it.
    Passing = 1,
    /// The flags are wrong. `clap` uses the same number.
    Usage = 2,
    /// Refused: a digest, a format or a signature is not what it must be.
    Refused = 3,
    /// The registry is not declared.
    Undeclared = 4,
    /// No space for the artifact.
    NoSpace = 5,
    /// A way out was found open.
    EgressOpen = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Sealroom runs language models in sealed pods and proves that they stay closed.
#[derive(Debug, Parser)]
#[command(name = "sealroom", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reconciles the objects, evaluates policies, runs the challenges
    Operator(operator::Args),
    /// A target that controls reach and sealed pods must not
    Canary(canary::Args),
    /// Pulls an artifact by digest into a directory
    Pull(pull::Args),
    /// The only listener of a serving pod
    Gate(Box<gate::Args>),
    /// Locks itself, then runs an engine while the gate says sealed
    Launch(launch::Args),
    /// Locks itself, then runs an MCP server's children while the gate says sealed
    Bridge(bridge::Args),
    /// Reads the audit lines of gates: filter them, follow them, tokens per key and month
    Audit(audit::Args),
    /// Prints what is known of models and MCP servers, and what it rests on
    Status(status::Args),
    /// Prints the pin of an MCP server's tools
    Pin(pin::Args),
    /// Prints how much memory llama.cpp needs for a model
    Size(size::Args),
    /// Prints the custom resource definitions as YAML
    Crds(crds::Args),
    /// Prints a completion script for a shell
    Completion {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// Runs the subcommand to its end.
    #[must_use]
    pub fn run(self) -> ExitCode {
        if let Err(error) = dumps::refuse() {
            eprintln!("failed to switch off core dumps: {error}");
            return Exit::Passing.into();
        }
        let exit = match self.command {
            Command::Operator(args) => args.run(),
            Command::Canary(args) => args.run(),
            Command::Pull(args) => args.run(),
            Command::Gate(args) => args.run(),
            Command::Launch(args) => args.run(),
            Command::Bridge(args) => args.run(),
            Command::Audit(args) => args.run(),
            Command::Status(args) => args.run(),
            Command::Pin(args) => args.run(),
            Command::Size(args) => args.run(),
            Command::Crds(args) => args.run(),
            Command::Completion { shell } => {
                clap_complete::generate(
                    shell,
                    &mut Self::command(),
                    "sealroom",
                    &mut std::io::stdout(),
                );
                Exit::Ok
            }
        };
        exit.into()
    }
}
