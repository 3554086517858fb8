//! `sealroom completion`.

use super::{Exit, say};

const EXAMPLES: &str = "\
Examples:
  source <(sealroom completion bash)
  sealroom completion bash > ~/.local/share/bash-completion/completions/sealroom
  sealroom completion zsh > ~/.zfunc/_sealroom
  sealroom completion fish > ~/.config/fish/completions/sealroom.fish";

/// Flags of `sealroom completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell to complete for
    shell: clap_complete::Shell,
}

impl Args {
    /// Prints the script.
    pub fn run(self, command: &mut clap::Command) -> Exit {
        // Written here first: what writes it cannot say that a reader is gone.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "sealroom", &mut script);
        say::result(&String::from_utf8_lossy(&script), Exit::Ok)
    }
}
