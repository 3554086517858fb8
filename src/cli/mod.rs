//! One file per subcommand: flags to a typed configuration.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod audit;
mod bridge;
mod canary;
mod completion;
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
mod say;
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

/// The name of a plugin of kubectl, under which kubectl finds it in the `PATH`.
const PLUGIN: &str = "kubectl-sealroom";

/// What the numbers of [`Exit`] mean, and what is taken from the environment beside the flags.
const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  trouble that may pass, or an object that is not ready and sealed
  2  the flags are wrong
  3  refused: a digest, a format or a signature is not what it must be
  4  the registry is not declared
  5  no space for the artifact
  6  a way out is open

Environment:
  KUBECONFIG    the kubeconfig, as kubectl reads it
  NO_COLOR      no colours in help and errors
  SEALROOM_LOG  what pull and the commands of pods log, such as debug";

/// Sealroom runs language models in sealed pods and proves that they stay closed.
#[derive(Debug, Parser)]
#[command(name = "sealroom", bin_name = called(std::env::args_os().next().as_deref()), version, about, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

// Those for people first, then those that pods run.
#[derive(Debug, Subcommand)]
enum Command {
    /// Prints what is known of models and MCP servers, and what it rests on
    Status(status::Args),
    /// Reads the audit lines of gates: filter them, follow them, tokens per key and month
    Audit(audit::Args),
    /// Prints the pin of an MCP server's tools
    Pin(pin::Args),
    /// Prints how much memory llama.cpp needs for a model
    Size(size::Args),
    /// Pulls an artifact by digest into a directory
    Pull(pull::Args),
    /// Prints the custom resource definitions as YAML
    Crds(crds::Args),
    /// Prints a completion script for a shell
    Completion(completion::Args),
    /// In a pod: reconciles the objects, evaluates policies, runs the challenges
    Operator(operator::Args),
    /// In a pod: a target that controls reach and sealed pods must not
    Canary(canary::Args),
    /// In a pod: its only listener
    Gate(Box<gate::Args>),
    /// In a pod: locks itself, then runs an engine while the gate says sealed
    Launch(launch::Args),
    /// In a pod: locks itself, then runs an MCP server's children while the gate says sealed
    Bridge(bridge::Args),
}

/// How the program was called: by itself, or as a plugin of kubectl.
fn called(first: Option<&OsStr>) -> String {
    let name = first.and_then(|path| Path::new(path).file_name());
    let plugin = name.is_some_and(|name| name == PLUGIN);
    if plugin {
        "kubectl sealroom"
    } else {
        "sealroom"
    }
    .to_owned()
}

impl Cli {
    /// Runs the subcommand to its end.
    #[must_use]
    pub fn run(self) -> ExitCode {
        if let Err(error) = dumps::refuse() {
            say::error(format!("failed to switch off core dumps: {error}"));
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
            Command::Completion(args) => args.run(&mut Self::command()),
        };
        exit.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_fit_together() {
        Cli::command().debug_assert();
    }

    /// What the help shows can be typed: each line with an example is parsed, from the program's name to a pipe, a
    /// redirection or a closing parenthesis.
    #[test]
    fn examples_are_taken() {
        let mut shown = Vec::new();
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let lines = help.lines().filter(|line| line.starts_with("  "));
            for (_, words) in lines.filter_map(|line| line.rsplit_once("sealroom ")) {
                let words = words.split([')', '>']).next().unwrap_or_default();
                let words = ["sealroom"].into_iter().chain(words.split_whitespace());
                let parsed = Cli::try_parse_from(words.clone());
                assert!(parsed.is_ok(), "{words:?}: {parsed:?}");
                shown.push(command.get_name().to_owned());
            }
        }
        shown.dedup();
        let expected = [
            "status",
            "audit",
            "pin",
            "size",
            "pull",
            "crds",
            "completion",
        ];
        assert_eq!(shown, expected);
    }

    #[rstest::rstest]
    #[case::itself(Some("/opt/sealroom/sealroom"), "sealroom")]
    #[case::plugin(Some("/usr/local/bin/kubectl-sealroom"), "kubectl sealroom")]
    #[case::nothing(None, "sealroom")]
    fn the_help_names_what_was_typed(#[case] first: Option<&str>, #[case] expected: &str) {
        assert_eq!(called(first.map(OsStr::new)), expected);
    }

    /// The help and the contract with the Jobs tell the same numbers.
    #[rstest::rstest]
    #[case(Exit::Ok, "done")]
    #[case(Exit::Passing, "trouble that may pass")]
    #[case(Exit::Usage, "the flags are wrong")]
    #[case(Exit::Refused, "refused")]
    #[case(Exit::Undeclared, "the registry is not declared")]
    #[case(Exit::NoSpace, "no space")]
    #[case(Exit::EgressOpen, "a way out is open")]
    fn exit_codes_are_told(#[case] exit: Exit, #[case] means: &str) {
        assert!(AFTER_HELP.contains(&format!("\n  {}  {means}", exit as u8)));
    }
}
