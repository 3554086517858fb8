//! kind, where Docker runs. Untested so far: no machine with Docker was at hand.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

use super::{Environment, cache};
use crate::run::Program;

/// The cluster's name in kind.
const NAME: &str = "sealroom";

/// A kind cluster.
#[derive(Debug)]
pub struct Kind {
    nodes: u8,
    kubeconfig: PathBuf,
}

impl Kind {
    /// A kind cluster with this many nodes; starts nothing.
    ///
    /// # Errors
    /// When kind or docker is not on PATH.
    pub fn new(nodes: u8) -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        for program in ["docker", "kind"] {
            if !std::env::split_paths(&path).any(|d| d.join(program).is_file()) {
                bail!("failed to use kind: {program} is not on PATH; PROVIDER=bed needs neither");
            }
        }
        Ok(Self {
            nodes,
            kubeconfig: cache().join("kind.kubeconfig"),
        })
    }

    /// Creates the cluster unless it exists.
    ///
    /// # Errors
    /// When Docker does not answer or kind fails.
    pub async fn up(&self) -> Result<()> {
        let docker = Program::new("docker").args(["version", "--format", "{{.Server.Version}}"]);
        docker
            .run()
            .await
            .context("failed to use kind: no Docker daemon answers")?;
        let clusters = Program::new("kind").args(["get", "clusters"]).run().await?;
        if clusters.stdout.lines().any(|c| c == NAME) {
            return Ok(());
        }
        let mut config = String::from("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n");
        config += "networking: {ipFamily: dual}\nnodes:\n- role: control-plane\n";
        for _ in 1..self.nodes {
            config += "- role: worker\n";
        }
        std::fs::create_dir_all(cache()).context("failed to make the cache directory")?;
        Program::new("kind")
            .args([
                "create",
                "cluster",
                "--name",
                NAME,
                "--config",
                "-",
                "--wait",
                "120s",
                "--kubeconfig",
            ])
            .arg(&self.kubeconfig)
            .input(config)
            .inherit()
            .deadline(Duration::from_secs(600))
            .run()
            .await?;
        Ok(())
    }

    /// Deletes the cluster.
    ///
    /// # Errors
    /// When kind fails.
    pub async fn down(&self) -> Result<()> {
        let delete = Program::new("kind").args(["delete", "cluster", "--name", NAME]);
        delete
            .inherit()
            .deadline(Duration::from_secs(120))
            .run()
            .await?;
        Ok(())
    }

    /// Its kubeconfig, and kubectl and helm from PATH.
    ///
    /// # Errors
    /// When it was not created.
    pub fn environment(&self) -> Result<Environment> {
        if !self.kubeconfig.is_file() {
            bail!("failed to find a running kind cluster: start it with `make bed PROVIDER=kind`");
        }
        Ok(Environment {
            kubeconfig: self.kubeconfig.clone(),
            kubectl: "kubectl".into(),
            helm: "helm".into(),
            ..Environment::default()
        })
    }
}
