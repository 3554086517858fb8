//! The cluster: up, down, and where it is.

use anyhow::Result;
use clap::Subcommand;

use crate::cluster::{Cluster, Shape};

/// Flags of `bed`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    shape: Shape,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Start it; does nothing when it runs
    Up,
    /// Take it down and leave nothing
    Down,
    /// Print where everything is, as KEY=VALUE
    Env,
    /// Say whether it runs
    Status,
}

impl Args {
    /// Does what was asked.
    pub(super) async fn run(self) -> Result<()> {
        let cluster = Cluster::new(&self.shape)?;
        match self.action {
            Action::Up => {
                cluster.up().await?;
                anstream::println!(
                    "export KUBECONFIG={}",
                    cluster.environment()?.kubeconfig.display()
                );
            }
            Action::Down => cluster.down().await?,
            Action::Env => anstream::print!("{}", cluster.environment()?),
            Action::Status => match &cluster {
                Cluster::Bed(bed) => anstream::println!("{}", bed.status().await?),
                Cluster::Kind(kind) => anstream::println!("{}", kind.status().await?),
                _ => anstream::println!("nodes: {}", cluster.nodes().await?.join(" ")),
            },
        }
        Ok(())
    }
}
