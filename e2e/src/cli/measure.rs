//! What is measured.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use super::Keep;
use crate::bench;
use crate::cluster::Shape;

/// Subcommands of `bench`.
#[derive(Debug, Subcommand)]
pub(super) enum Measure {
    /// How fast an opening is closed and what one object costs, on a running cluster
    Cluster {
        #[command(flatten)]
        shape: Shape,
        /// The operator's static program
        #[arg(long)]
        operator: PathBuf,
        #[command(flatten)]
        keep: Keep,
    },
    /// What the gate adds to a request, on this machine alone
    Gate {
        /// The operator's static program
        #[arg(long)]
        operator: PathBuf,
        /// The program nginx, which is measured beside it
        #[arg(long, default_value = "/usr/sbin/nginx")]
        nginx: PathBuf,
    },
    /// What bridge and gate add to an MCP server on stdio, and what other proxies add, on this machine alone
    Mcp {
        /// The operator's static program
        #[arg(long)]
        operator: PathBuf,
        /// The other proxies, as `e2e/node.sh e2e/mcp/proxies` prints where they are
        #[arg(long)]
        proxies: PathBuf,
        /// Sessions after which it is counted what is left
        #[arg(long, env = "SESSIONS", default_value_t = 1000)]
        sessions: usize,
    },
}

impl Measure {
    /// Measures it, and prints what came of it.
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Cluster {
                shape,
                operator,
                keep,
            } => bench::cluster(&shape, &operator, keep.keep).await,
            Self::Gate { operator, nginx } => bench::gate(&operator, &nginx).await,
            Self::Mcp {
                operator,
                proxies,
                sessions,
            } => bench::mcp(&operator, &proxies, sessions).await,
        }
    }
}
