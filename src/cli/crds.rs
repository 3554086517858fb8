//! `sealroom crds`.

use std::path::PathBuf;

use super::{Exit, say};
use crate::api;

const EXAMPLES: &str = "\
Examples:
  sealroom crds > crds.yaml
  sealroom crds --to crds";

/// Flags of `sealroom crds`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Write one file per kind into this directory, which is there, instead of printing
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
enum CrdsError {
    #[error("failed to make the definitions: {0}")]
    Make(#[from] serde_saphyr::ser::Error),
    #[error("failed to write {0}: {1}")]
    Write(PathBuf, std::io::Error),
}

impl Args {
    /// Prints the definitions as one YAML stream, or writes them into files.
    pub fn run(self) -> Exit {
        match self.text() {
            Ok(text) => say::result(&text, Exit::Ok),
            Err(error) => {
                say::error(error);
                Exit::Passing
            }
        }
    }

    /// What is to be printed; nothing where files were written.
    fn text(&self) -> Result<String, CrdsError> {
        let mut text = String::new();
        for (file, yaml) in api::crd_files()? {
            match &self.to {
                Some(dir) => {
                    let path = dir.join(file);
                    std::fs::write(&path, yaml).map_err(|error| CrdsError::Write(path, error))?;
                }
                None => text.extend(["---\n", &yaml]),
            }
        }
        Ok(text)
    }
}
