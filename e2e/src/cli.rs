//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use crate::{
    artifact, bench,
    cluster::{Bed, Cluster, Provider, Shape, cache},
    demo,
    dial::{self, Protocol},
    images::Image,
    install, outside,
    progress::Stage,
    registry::Registry,
    suite,
    tool::Tool,
    world::World,
};

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
    Bed {
        #[command(flatten)]
        shape: Shape,
        #[command(subcommand)]
        action: Action,
    },
    /// Build the programs of the built-in cluster from their pins
    Build {
        /// Which; all when none is named
        families: Vec<String>,
    },
    /// Build images and, when a cluster runs, push them: prints one reference by digest a line
    Images {
        #[command(flatten)]
        shape: Shape,
        /// The product's static program, for the image `sealroom`
        #[arg(long)]
        product: Option<PathBuf>,
        /// Hold the image `sealroom` to the size that may be shipped
        #[arg(long, requires = "product")]
        shipped: bool,
        /// The product built with the feature kernel-lock-off, for the image `sealroom-lock-off`
        #[arg(long)]
        lock_off: Option<PathBuf>,
        /// Leave out the image of llama.cpp
        #[arg(long)]
        without_llama: bool,
        /// Leave out the image of Ollama, whose program takes minutes to build
        #[arg(long)]
        without_ollama: bool,
        /// Build only
        #[arg(long)]
        no_push: bool,
    },
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
    Dial {
        /// Where to; may be repeated
        #[arg(long, required = true)]
        to: Vec<SocketAddr>,
        /// Over what; both when not given
        #[arg(long, value_enum)]
        protocol: Option<Protocol>,
        /// How many rounds; 0 for ever
        #[arg(long, default_value_t = 1)]
        rounds: u64,
        /// Milliseconds between rounds
        #[arg(long, default_value_t = 200)]
        pause: u64,
        /// Milliseconds to wait for an answer
        #[arg(long, default_value_t = 1000)]
        patience: u64,
        /// What to send
        #[arg(long, default_value = "sealroom")]
        text: String,
        /// Also write the attempts to this file
        #[arg(long)]
        record: Option<PathBuf>,
    },
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

#[derive(Debug, Subcommand)]
enum Measure {
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

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// When that fails; the message says what to do where something can be done.
    pub async fn run(self) -> Result<()> {
        match self.command {
            Command::Bed { shape, action } => bed(&shape, action).await,
            Command::Build { families } => {
                let shape = Shape {
                    provider: Provider::Bed,
                    nodes: 1,
                    cni: crate::cluster::Cni::Cilium,
                };
                Bed::new(shape.nodes, shape.cni)?.build(&families).await
            }
            Command::Images {
                shape,
                product,
                shipped,
                lock_off,
                without_llama,
                without_ollama,
                no_push,
            } => {
                let mut products = Vec::new();
                products.extend(product.map(|p| Image::product("sealroom", p, shipped)));
                products.extend(lock_off.map(|p| Image::product("sealroom-lock-off", p, false)));
                if !without_llama {
                    let stage = Stage::begin("llama.cpp");
                    products.push(Image::llama(install::llama_root().await?));
                    stage.end("from Debian's packages");
                }
                if !without_ollama {
                    let stage = Stage::begin("Ollama");
                    products.push(install::ollama_image().await?);
                    stage.end("from its Go module");
                }
                images(&shape, products, !no_push).await
            }
            Command::Model => {
                let file = artifact::model(&cache()).await?;
                anstream::println!("{}", file.display());
                Ok(())
            }
            Command::PushModel { shape } => push_model(&shape).await,
            Command::Outside { log } => outside::listen(&log).await,
            Command::Dial {
                to,
                protocol,
                rounds,
                pause,
                patience,
                text,
                record,
            } => {
                let protocols = protocol.map_or(vec![Protocol::Tcp, Protocol::Udp], |p| vec![p]);
                let (pause, patience) = (
                    Duration::from_millis(pause),
                    Duration::from_millis(patience),
                );
                let mut plan = dial::Plan {
                    to,
                    protocols,
                    rounds,
                    pause,
                    patience,
                    text,
                    record: None,
                };
                if let Some(path) = record {
                    let file = std::fs::File::create(&path);
                    plan.record =
                        Some(file.with_context(|| format!("failed to create {}", path.display()))?);
                }
                plan.run().await
            }
            Command::Install { shape, operator } => {
                let cluster = Cluster::new(&shape)?;
                let world = World::new(cluster.environment()?).await?;
                let pushed = install::push(&cluster, &operator, false).await?;
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
            Command::Bench { what } => match what {
                Measure::Cluster {
                    shape,
                    operator,
                    keep,
                } => bench::cluster(&shape, &operator, keep.keep).await,
                Measure::Gate { operator, nginx } => bench::gate(&operator, &nginx).await,
                Measure::Mcp {
                    operator,
                    proxies,
                    sessions,
                } => bench::mcp(&operator, &proxies, sessions).await,
            },
            Command::Tool { tool } => tool.run().await,
        }
    }
}

async fn bed(shape: &Shape, action: Action) -> Result<()> {
    let cluster = Cluster::new(shape)?;
    match action {
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

async fn images(shape: &Shape, products: Vec<Image>, push: bool) -> Result<()> {
    let cache = cache();
    let program = std::env::current_exe().context("failed to find this program's own path")?;
    let mut wanted = vec![Image::tool(program)];
    wanted.extend(products);
    let registry = if push {
        Some(Registry::new(&Cluster::new(shape)?.environment()?)?)
    } else {
        None
    };
    for image in wanted {
        let stage = Stage::begin(format!("image {}", image.name));
        let layout = image.build(&cache).await?;
        match &registry {
            Some(registry) => {
                registry.wait().await?;
                let reference = registry.push_layout(image.name, &layout).await?;
                stage.end("pushed");
                anstream::println!("{reference}");
            }
            None => stage.end(&layout.display().to_string()),
        }
    }
    Ok(())
}

async fn push_model(shape: &Shape) -> Result<()> {
    let environment = Cluster::new(shape)?.environment()?;
    let stage = Stage::begin("model");
    let file = artifact::model(&cache()).await?;
    let registry = Registry::new(&environment)?;
    registry.wait().await?;
    let pushed = artifact::push(&registry, &file).await?;
    let Some(directory) = environment.bed_dir else {
        bail!("failed to note the model: the cluster has no directory")
    };
    for (name, reference) in [
        ("model-ref", &pushed.oras),
        ("model-ref-docker", &pushed.docker),
    ] {
        std::fs::write(directory.join(name), format!("{reference}\n"))
            .context("failed to note the model")?;
    }
    stage.end("pushed");
    anstream::println!("{}\n{}", pushed.oras, pushed.docker);
    Ok(())
}
