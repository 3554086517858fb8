//! A cluster with the operator in it, set for tests: rooms to work in, a model to ask, packets to count.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::clients::Place;
use super::fixtures::{Model, tool_pod};
use super::mcp;
use crate::cluster::Cluster;
use crate::install;
use crate::outside::Record;
use crate::world::World;

mod room;
mod served;

pub use room::Room;
pub use served::Served;

/// Images by digest, as pods name them.
#[derive(Clone, Debug)]
pub struct Images {
    /// This crate's program: clients to exec into.
    pub tool: String,
    /// A runtime that dials out from its first instruction on and ignores SIGTERM.
    pub dialler: String,
    /// A runtime that tries every socket family.
    pub families: String,
    /// A runtime that fails in the way that a prompt asks for.
    pub failing: String,
}

/// Everything that a test touches.
#[derive(Debug)]
pub struct Stage {
    /// The cluster's API.
    pub world: World,
    /// Images to run.
    pub images: Images,
    cluster: Cluster,
    operator: PathBuf,
    artifact: String,
    assistant: OnceCell<Served>,
    languages: OnceCell<String>,
    clients: OnceCell<Place>,
    helper: OnceCell<mcp::Place>,
    short_rounds: OnceCell<()>,
}

/// Where the assistant and the client live.
pub(super) const HOME: &str = "e2e";

impl Stage {
    /// A stage on a running cluster.
    #[must_use]
    pub fn new(
        world: World,
        cluster: Cluster,
        operator: PathBuf,
        images: Images,
        artifact: String,
    ) -> Self {
        Self {
            world,
            images,
            cluster,
            operator,
            artifact,
            assistant: OnceCell::new(),
            languages: OnceCell::new(),
            clients: OnceCell::new(),
            helper: OnceCell::new(),
            short_rounds: OnceCell::new(),
        }
    }

    /// The model's reference by digest.
    #[must_use]
    pub fn artifact(&self) -> &str {
        &self.artifact
    }

    /// The operator's program, by its whole path: users have the same one for its other subcommands.
    #[must_use]
    pub fn operator(&self) -> &Path {
        &self.operator
    }

    /// The cluster itself.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// An address of the outside host that no probe covers.
    #[must_use]
    pub fn unprobed_address(&self) -> &'static str {
        "172.31.9.21"
    }

    /// Applies objects.
    ///
    /// # Errors
    /// What kubectl said.
    pub async fn apply(&self, objects: &[Value]) -> Result<()> {
        let texts: Vec<_> = objects.iter().map(Value::to_string).collect();
        self.world.apply(&texts.join("\n---\n")).await?;
        Ok(())
    }

    /// The different texts with this beginning that the listener outside has heard, over all its life.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub async fn heard(&self, beginning: &str) -> Result<BTreeSet<String>> {
        let directory = self
            .world
            .environment
            .bed_dir
            .as_ref()
            .context("failed to find the bed's directory")?;
        let log = tokio::fs::read_to_string(directory.join("outside.jsonl")).await?;
        let records = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Record>(line).ok());
        Ok(records
            .map(|record| record.sent)
            .filter(|sent| sent.starts_with(beginning))
            .collect())
    }

    /// The model that most tests ask, deployed once, with a client that is let in and a stranger.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn assistant(&self) -> Result<Served> {
        let served = self.assistant.get_or_try_init(async || {
            self.world.namespace(HOME).await?;
            for app in ["client", "stranger"] {
                let args = ["tool", "idle"];
                self.world
                    .apply(&tool_pod(HOME, app, &self.images.tool, app, &args))
                    .await?;
            }
            self.world
                .apply(&Model::new(HOME, "assistant", &self.artifact).yaml())
                .await?;
            self.world
                .wait_condition(
                    HOME,
                    "assistant",
                    "Ready",
                    "True",
                    "",
                    Duration::from_secs(180),
                )
                .await?;
            self.world.pods_ready(HOME, &["client", "stranger"]).await?;
            anyhow::Ok(Served::of(HOME, "assistant"))
        });
        Ok(served.await?.clone())
    }

    /// The image with the official clients and MCP servers, built and pushed once, whoever asks first.
    ///
    /// # Errors
    /// When it cannot be built or pushed.
    pub(super) async fn languages(&self) -> Result<&str> {
        let push = async || install::clients(&self.cluster).await;
        Ok(self.languages.get_or_try_init(push).await?)
    }

    /// The namespace of the official clients, made once.
    ///
    /// # Errors
    /// When something of it does not become ready.
    pub(super) async fn clients(&self) -> Result<&Place> {
        let make = async || Place::make(self).await;
        self.clients.get_or_try_init(make).await
    }

    /// The namespace of the MCP server, made once.
    ///
    /// # Errors
    /// When something of it does not become ready.
    pub(super) async fn helper(&self) -> Result<&mcp::Place> {
        let make = async || mcp::Place::make(self).await;
        self.helper.get_or_try_init(make).await
    }

    /// From now on a proof is valid for half a minute and not for a minute and a half, so that tests which wait
    /// for one to run out take less long.
    ///
    /// # Errors
    /// What helm said.
    pub async fn short_rounds(&self) -> Result<()> {
        let set = async || install::set(&self.world, &["seal.roundSeconds=10"]).await;
        self.short_rounds.get_or_try_init(set).await.copied()
    }

    /// Prints what a reader of a failed test wants to see.
    pub async fn describe(&self, case: &str) {
        println!("e2e state  after {case}");
        self.world.describe().await;
    }
}
