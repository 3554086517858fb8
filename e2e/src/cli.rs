//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cluster::{Bed, Cluster, Cni, Provider, Shape};
use crate::tool::Tool;
use crate::world::World;
use crate::{demo, install, outside, suite};

mod bed;
mod dial;
mod images;
mod measure;
mod model;

use measure::Measure;

/// The cluster to test on, and what is tested on it.
#[derive(Debug, Parser)]
#[command(name = "sealroom-e2e", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start, stop or show the cluster
    Bed(bed::Args),
    /// Build the programs of the built-in cluster from their pins
    Build {
        /// Which; all when none is named
        families: Vec<String>,
    },
    /// Build images and, when a cluster runs, push them: prints one reference by digest a line
    Images(images::Args),
    /// Fetch the model into the cache: prints where it is
    Model,
    /// Push the model in both layouts: prints its references by digest
    PushModel {
        #[command(flatten)]
        shape: Shape,
    },
    /// Be the host outside the cluster: answer whoever comes, and write down who came
    Outside {
        /// One line of JSON a connection or datagram
        #[arg(long)]
        log: PathBuf,
    },
    /// Dial out again and again: prints one line of JSON an attempt
    Dial(dial::Args),
    /// Put images, model and operator into a running cluster
    Install {
        #[command(flatten)]
        shape: Shape,
        /// The operator's static program
        #[arg(long)]
        operator: PathBuf,
    },
    /// Show it all: a model answers from a sealed pod, somebody opens a hole, the model shuts, and opens again
    Demo {
        #[command(flatten)]
        shape: Shape,
        /// The operator's static program
        #[arg(long)]
        operator: PathBuf,
        #[command(flatten)]
        keep: Keep,
    },
    /// Run the end-to-end tests
    Test {
        #[command(flatten)]
        shape: Shape,
        /// The operator's static program
        #[arg(long)]
        operator: PathBuf,
        /// The same, built without the kernel lock
        #[arg(long)]
        unlocked: PathBuf,
        /// Only tests whose name has this in it, or one of several by comma
        #[arg(long, env = "FILTER", default_value = "")]
        filter: String,
        #[command(flatten)]
        keep: Keep,
    },
    /// Measure and assert nothing: prints what docs/benchmarks.md lists
    Bench {
        #[command(subcommand)]
        what: Measure,
    },
    /// What runs inside test pods
    Tool {
        #[command(subcommand)]
        tool: Tool,
    },
}

#[derive(Debug, clap::Args)]
struct Keep {
    /// Leave the cluster up
    #[arg(long, env = "KEEP", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::Set, default_value = "")]
    keep: bool,
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// When that fails; the message says what to do where something can be done.
    pub async fn run(self) -> Result<()> {
        match self.command {
            Command::Bed(args) => args.run().await,
            Command::Build { families } => {
                let shape = Shape {
                    provider: Provider::Bed,
                    nodes: 1,
                    cni: Cni::Cilium,
                };
                Bed::new(shape.nodes, shape.cni)?.build(&families).await
            }
            Command::Images(args) => args.run().await,
            Command::Model => model::fetch().await,
            Command::PushModel { shape } => model::push(&shape).await,
            Command::Outside { log } => outside::listen(&log).await,
            Command::Dial(args) => args.run().await,
            Command::Install { shape, operator } => {
                let cluster = Cluster::new(&shape)?;
                let world = World::new(cluster.environment()?).await?;
                let mut pushed = install::push(&cluster, &operator, false).await?;
                pushed.ollama = install::built_ollama(&cluster).await?;
                install::install(&world, &pushed).await
            }
            Command::Demo {
                shape,
                operator,
                keep,
            } => demo::whole(&shape, &operator, keep.keep).await,
            Command::Test {
                shape,
                operator,
                unlocked,
                filter,
                keep,
            } => suite::whole(&shape, &operator, &unlocked, &filter, keep.keep).await,
            Command::Bench { what } => what.run().await,
            Command::Tool { tool } => tool.run().await,
        }
    }
}
