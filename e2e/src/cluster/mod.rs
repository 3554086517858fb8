//! A cluster to test on, whoever provides it.

mod bed;
mod environment;
mod kind;
mod kubeconfig;
mod scripts;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};

pub use bed::Bed;
pub use environment::Environment;
pub use kind::Kind;
pub use kubeconfig::Kubeconfig;

use crate::run::{Output, Program};

/// Who provides the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Provider {
    /// The built-in one, in namespaces of this machine.
    Bed,
    /// kind, on the Docker engine that answers or on one of its own.
    Kind,
    /// The one that KUBECONFIG names.
    Kubeconfig,
}

/// What enforces NetworkPolicies, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Cni {
    /// Cilium: enforces them.
    Cilium,
    /// The plain ptp plug-in: nothing enforces them.
    Ptp,
}

impl Cni {
    /// The name that the scripts of the bed know.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cilium => "cilium",
            Self::Ptp => "ptp",
        }
    }
}

/// What is asked of a cluster.
#[derive(Debug, Clone, clap::Args)]
pub struct Shape {
    /// Who provides the cluster
    #[arg(long, env = "PROVIDER", value_enum, default_value = "bed")]
    pub provider: Provider,
    /// How many nodes
    #[arg(long, env = "NODES", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub nodes: u8,
    /// What enforces NetworkPolicies, or does not
    #[arg(long, env = "CNI", value_enum, default_value = "cilium")]
    pub cni: Cni,
}

/// A cluster of one of the providers.
#[derive(Debug)]
pub enum Cluster {
    /// The built-in one.
    Bed(Bed),
    /// kind.
    Kind(Kind),
    /// An existing one.
    Kubeconfig(Kubeconfig),
}

impl Cluster {
    /// The cluster of this shape; starts nothing.
    ///
    /// # Errors
    /// When the provider lacks what it stands on.
    pub fn new(shape: &Shape) -> Result<Self> {
        Ok(match shape.provider {
            Provider::Bed => Self::Bed(Bed::new(shape.nodes, shape.cni)?),
            Provider::Kind => Self::Kind(Kind::new(shape.nodes, shape.cni)?),
            Provider::Kubeconfig => Self::Kubeconfig(Kubeconfig::new()?),
        })
    }

    /// Starts it; does nothing when it runs.
    ///
    /// # Errors
    /// When it does not become usable.
    pub async fn up(&self) -> Result<()> {
        match self {
            Self::Bed(c) => c.up().await,
            Self::Kind(c) => c.up().await,
            Self::Kubeconfig(c) => c.up().await,
        }
    }

    /// Removes it and everything that belongs to it. An existing cluster is left alone.
    ///
    /// # Errors
    /// When something is left.
    pub async fn down(&self) -> Result<()> {
        match self {
            Self::Bed(c) => c.down().await,
            Self::Kind(c) => c.down().await,
            Self::Kubeconfig(_) => Ok(()),
        }
    }

    /// Starts it, does the work, and removes it again unless it is to be kept, also when the work failed.
    ///
    /// # Errors
    /// When it does not become usable or something is left, or that of the work.
    pub async fn during<T>(&self, keep: bool, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.up().await?;
        let done = work.await;
        if !keep {
            self.down().await?;
        }
        done
    }

    /// Where everything is.
    ///
    /// # Errors
    /// When it does not run.
    pub fn environment(&self) -> Result<Environment> {
        match self {
            Self::Bed(c) => c.environment(),
            Self::Kind(c) => c.environment(),
            Self::Kubeconfig(c) => Ok(c.environment()),
        }
    }

    /// The cgroup that holds the processes of its nodes.
    ///
    /// # Errors
    /// Where the nodes are not of this machine.
    pub fn cgroup(&self) -> Result<&'static str> {
        match self {
            Self::Bed(_) => Ok("sealroom-bed"),
            Self::Kind(_) => Ok("sealroom-kind"),
            Self::Kubeconfig(_) => bail!(
                "failed to look into the nodes: those of an existing cluster are on other machines"
            ),
        }
    }

    /// Runs a command on the host outside the cluster.
    ///
    /// # Errors
    /// When the provider has no such host, or the command fails.
    pub async fn outside(&self, command: &[&str]) -> Result<Output> {
        match self {
            Self::Bed(c) => c.outside(command).await,
            Self::Kind(c) => c.outside(command).await,
            Self::Kubeconfig(_) => bail!(
                "failed to reach a host outside the cluster: an existing one has none that is known"
            ),
        }
    }

    /// The names of its nodes, sorted.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn nodes(&self) -> Result<Vec<String>> {
        let environment = self.environment()?;
        let output = environment
            .kubectl(["get", "nodes", "-o", "name"])
            .deadline(Duration::from_secs(30))
            .run()
            .await?;
        let mut names: Vec<_> = output
            .stdout
            .lines()
            .map(|l| l.trim_start_matches("node/").to_owned())
            .collect();
        names.sort();
        Ok(names)
    }
}

/// Runs a command in the network namespace that a file holds.
async fn enter(namespace: &Path, command: &[&str]) -> Result<Output> {
    let mut option = std::ffi::OsString::from("--net=");
    option.push(namespace);
    Ok(Program::new("nsenter")
        .arg(option)
        .args(command)
        .run()
        .await?)
}

/// The one line of a file, when it is there.
fn line(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|t| !t.is_empty())
}

/// The directory of everything that is built or downloaded once.
pub fn cache() -> PathBuf {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    variable("SEALROOM_CACHE").unwrap_or_else(|| {
        variable("XDG_CACHE_HOME")
            .or_else(|| variable("HOME").map(|h| h.join(".cache")))
            .unwrap_or_else(|| PathBuf::from("/var/cache"))
            .join("sealroom")
    })
}

/// The directory of the end-to-end crate, with the scripts and Dockerfiles.
pub fn source() -> PathBuf {
    std::env::var_os("SEALROOM_E2E_SOURCE")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}
