//! An existing cluster, named by KUBECONFIG. Nothing is started and nothing is taken down.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};

use super::Environment;

/// An existing cluster.
#[derive(Debug)]
pub struct Kubeconfig {
    path: PathBuf,
}

impl Kubeconfig {
    /// The cluster that KUBECONFIG names.
    ///
    /// # Errors
    /// When the variable is not set.
    pub fn new() -> Result<Self> {
        let path = std::env::var_os("KUBECONFIG").filter(|p| !p.is_empty());
        let path =
            path.context("failed to find a cluster: PROVIDER=kubeconfig needs KUBECONFIG")?;
        Ok(Self { path: path.into() })
    }

    /// Checks that it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn up(&self) -> Result<()> {
        let check = self.environment().kubectl(["get", "--raw", "/readyz"]);
        check.deadline(Duration::from_secs(20)).run().await?;
        Ok(())
    }

    /// Its kubeconfig, and kubectl and helm from PATH. Registry and model come from the environment
    /// under the names that `make bed-env` uses; REGISTRY_PORT is where the registry answers on loopback.
    pub fn environment(&self) -> Environment {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        Environment {
            kubeconfig: self.path.clone(),
            ..Environment::of(variable)
        }
    }
}
