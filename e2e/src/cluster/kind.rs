//! kind: on the Docker engine that answers, or on one of its own. Drives the scripts under `kind/`.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail};

use super::{Cni, Environment, line, scripts::Scripts};
use crate::run::Output;

/// A kind cluster.
#[derive(Debug)]
pub struct Kind(Scripts);

impl Kind {
    /// A kind cluster of this shape; starts nothing. The user's engine brings its own CNI, whatever is asked.
    ///
    /// # Errors
    /// When the scripts are not where the crate was built.
    pub fn new(nodes: u8, cni: Cni) -> Result<Self> {
        Scripts::new("kind", "KIND_DIR", nodes, cni).map(Self)
    }

    /// Creates the cluster and its registry, building first what is not built yet.
    ///
    /// # Errors
    /// When something that it stands on is missing, or the cluster does not become ready.
    pub async fn up(&self) -> Result<()> {
        self.0.up().await
    }

    /// Removes it.
    ///
    /// # Errors
    /// When something is left.
    pub async fn down(&self) -> Result<()> {
        self.0.down(Duration::from_secs(180)).await
    }

    /// One line that says whether it runs.
    ///
    /// # Errors
    /// When it does not.
    pub async fn status(&self) -> Result<String> {
        self.0.status().await
    }

    /// Runs a command on the host outside the cluster.
    ///
    /// # Errors
    /// When the engine is the user's, which has no such host, or the command fails.
    pub async fn outside(&self, command: &[&str]) -> Result<Output> {
        let namespace = self.0.directory.join("netns/outside");
        if !namespace.exists() {
            bail!(
                "failed to reach a host outside the cluster: only an engine of our own has one; set KIND_ENGINE=own"
            );
        }
        super::enter(&namespace, command).await
    }

    /// Where everything is, as `up.sh` wrote it down.
    ///
    /// # Errors
    /// When it does not run.
    pub fn environment(&self) -> Result<Environment> {
        self.0.running("make bed PROVIDER=kind")?;
        let directory = &self.0.directory;
        let written = fs::read_to_string(directory.join("environment"))
            .context("failed to read where the kind cluster is")?;
        Ok(Environment {
            bed_dir: Some(directory.clone()),
            model_ref: line(&directory.join("model-ref")),
            ollama_image: line(&directory.join("ollama-image")),
            ..Environment::of(|name| value(&written, name))
        })
    }
}

/// The value of a line `NAME=value`, unless it is empty.
fn value(lines: &str, name: &str) -> Option<String> {
    let mut values = lines.lines().filter_map(|line| line.split_once('='));
    values
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn reads_what_the_script_wrote() {
        let lines = "KUBECONFIG=/k\nREGISTRY=registry.internal:5000\nAUDIT_LOG=\n\
                     REGISTRY_ADDRESSES=172.31.8.10,fd31:8::10\nREGISTRY_PORT=25000\n";
        let environment = Environment::of(|name| value(lines, name));
        assert_eq!(environment.kubeconfig, PathBuf::from("/k"));
        assert_eq!(
            environment.registry.as_deref(),
            Some("registry.internal:5000")
        );
        assert_eq!(environment.registry_addresses.len(), 2);
        assert_eq!(environment.registry_port, Some(25000));
        assert_eq!(environment.audit_log, None);
        assert_eq!(environment.kubectl, PathBuf::from("kubectl"));
    }
}
