//! `sealroom crds`.

use super::Exit;
use crate::api;

/// Flags of `sealroom crds`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write one file per kind into this directory instead of printing
    #[arg(long, value_name = "DIR")]
    to: Option<std::path::PathBuf>,
}

impl Args {
    /// Prints the definitions as one YAML stream, or writes them into files.
    pub fn run(self) -> Exit {
        use std::io::Write as _;
        let written = api::crd_files()
            .map_err(anyhow::Error::from)
            .and_then(|files| {
                for (file, yaml) in files {
                    match &self.to {
                        Some(dir) => std::fs::write(dir.join(file), yaml)?,
                        None => write!(std::io::stdout(), "---\n{yaml}")?,
                    }
                }
                Ok(())
            });
        match written {
            Ok(()) => Exit::Ok,
            Err(error) => {
                let _ = writeln!(
                    std::io::stderr(),
                    "failed to write the definitions: {error}"
                );
                Exit::Passing
            }
        }
    }
}
