//! A folder of scripts that starts a cluster, tells how it is, and takes it down.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

use super::{Cni, cache, source};
use crate::run::Program;

/// The scripts with the settings of one cluster.
#[derive(Debug)]
pub(super) struct Scripts {
    folder: PathBuf,
    /// Where the running cluster writes down what it is.
    pub directory: PathBuf,
    variable: &'static str,
    nodes: u8,
    cni: Cni,
}

impl Scripts {
    /// Those of this folder of the crate; `variable` names the cluster's own directory, otherwise it is in the cache.
    pub fn new(name: &'static str, variable: &'static str, nodes: u8, cni: Cni) -> Result<Self> {
        let folder = source().join(name);
        if !folder.join("up.sh").is_file() {
            bail!(
                "failed to find the scripts of {name} in {}, set SEALROOM_E2E_SOURCE",
                folder.display()
            );
        }
        let given: Option<OsString> = std::env::var_os(variable);
        Ok(Self {
            folder,
            directory: given.map_or_else(|| cache().join(name), PathBuf::from),
            variable,
            nodes,
            cni,
        })
    }

    /// One of them.
    pub fn script(&self, name: &str) -> Program {
        Program::new(self.folder.join(name))
            .env("SEALROOM_CACHE", cache())
            .env(self.variable, &self.directory)
            .env("NODES", self.nodes.to_string())
            .env("CNI", self.cni.name())
    }

    /// Starts the cluster, building first what is not built yet.
    pub async fn up(&self) -> Result<()> {
        let program = std::env::current_exe().context("failed to find this program's own path")?;
        let script = self.script("up.sh").env("E2E_BIN", program).inherit();
        // Cold, the Go builds alone take most of an hour of two cores.
        script.deadline(Duration::from_secs(5400)).run().await?;
        Ok(())
    }

    /// Takes it down within this time.
    pub async fn down(&self, within: Duration) -> Result<()> {
        let script = self.script("down.sh").inherit();
        script.deadline(within).run().await?;
        Ok(())
    }

    /// One line that says whether it runs.
    pub async fn status(&self) -> Result<String> {
        let output = self.script("status.sh").run().await?;
        Ok(output.stdout.trim().to_owned())
    }

    /// Fails unless it runs; `start` says how it is started.
    pub fn running(&self, start: &str) -> Result<()> {
        if !self.directory.join("ready").exists() {
            bail!(
                "failed to find a running cluster in {}: start it with `{start}`",
                self.directory.display()
            );
        }
        Ok(())
    }
}
