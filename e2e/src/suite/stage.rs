//! A cluster with the operator in it, set for tests: rooms to work in, a model to ask, packets to count.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::clients::Place;
use super::fixtures::{Model, tool_pod};
use super::mcp;
use crate::asking::PATIENCE;
use crate::cluster::Cluster;
use crate::install;
use crate::kube::wait;
use crate::outside::{self, Record};
use crate::world::{World, name_of};

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

/// A model that serves.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its base URL without `/v1`.
    pub url: String,
    /// The namespace of the pod `client` that asks it.
    pub client: String,
}

impl Served {
    /// The model of that name, at the address of its Service, asked by the client of all tests.
    #[must_use]
    pub fn of(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            url: format!("http://{name}.{namespace}.svc.cluster.local:8080"),
            client: HOME.to_owned(),
        }
    }

    /// The same, asked by the client of its own namespace.
    #[must_use]
    pub fn asked_nearby(self) -> Self {
        let client = self.namespace.clone();
        Self { client, ..self }
    }
}

/// A namespace of one test.
#[derive(Debug)]
pub struct Room<'a> {
    stage: &'a Stage,
    name: String,
    before: u64,
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

    /// A fresh namespace.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn room(&self, name: &str) -> Result<Room<'_>> {
        self.world.namespace(name).await?;
        Ok(Room {
            stage: self,
            name: name.to_owned(),
            before: self.packets().await?,
        })
    }

    /// Packets that arrived outside so far, of every kind and from whomever.
    async fn packets(&self) -> Result<u64> {
        Ok(outside::read(&self.cluster)
            .await?
            .iter()
            .map(|seen| seen.packets)
            .sum())
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

    /// The assistant, once nothing is left of its start: the last is that the runtime has shown its lock.
    ///
    /// # Errors
    /// When it does not become ready or shows no lock.
    pub async fn settled(&self) -> Result<Served> {
        let model = self.assistant().await?;
        let locked = async || {
            let object = self.object(&model).await?;
            let locks = object["status"]["seal"]["locks"].as_array().cloned();
            let shown = locks.unwrap_or_default().contains(&"Kernel".into());
            Ok(shown.then_some(()))
        };
        wait(Duration::from_secs(60), "the kernel lock", locked).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(model)
    }

    /// The model's object as it is.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn object(&self, model: &Served) -> Result<Value> {
        let Served {
            namespace, name, ..
        } = model;
        let object = self.world.model(namespace, name).await?;
        object.with_context(|| format!("failed to find {namespace}/{name}"))
    }

    /// Sends a request from the model's client: status and body.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn ask(
        &self,
        model: &Served,
        path: &str,
        data: Option<&str>,
    ) -> Result<(u16, String)> {
        let url = format!("{}{path}", model.url);
        self.world
            .fetch(&model.client, &url, data, None, PATIENCE)
            .await
    }

    /// The status of a GET; `None` when no answer comes within half a minute.
    pub async fn get_status(&self, model: &Served, path: &str) -> Option<u16> {
        let url = format!("{}{path}", model.url);
        let asked = self.world.fetch(&model.client, &url, None, None, 25).await;
        asked.ok().map(|(status, _)| status)
    }

    /// How many tokens the runtime has generated, by its own counter, as the gate passes it on.
    ///
    /// # Errors
    /// When the counter cannot be read.
    pub async fn generated_tokens(&self, model: &Served) -> Result<f64> {
        let pods = self.world.pods(&model.namespace, &model.name).await?;
        let pod = pods.first().map(name_of).context("failed to find a pod")?;
        self.world.tokens(&model.namespace, pod, "generated").await
    }

    /// Prints what a reader of a failed test wants to see.
    pub async fn describe(&self, case: &str) {
        println!("e2e state  after {case}");
        for arguments in [
            &["get", "md,ma,mcps", "-A", "-o", "wide"][..],
            &["get", "pods,jobs,pvc,networkpolicies", "-A", "-o", "wide"],
            &["get", "events", "-A", "--sort-by=.lastTimestamp"],
            &[
                "logs",
                "-n",
                "sealroom-system",
                "-l",
                "app.kubernetes.io/component=operator",
                "--tail=40",
            ],
        ] {
            if let Ok(output) = self.world.kubectl(arguments).await {
                let lines: Vec<_> = output.stdout.lines().collect();
                println!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
            }
        }
    }
}

impl Room<'_> {
    /// Packets that arrived outside since the room was entered, of every kind and from whomever: tests that
    /// expect none may run beside each other, and none beside a test that lets some out.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub async fn packets(&self) -> Result<u64> {
        Ok(self.stage.packets().await?.saturating_sub(self.before))
    }

    /// Checks that no packet arrived outside.
    ///
    /// # Errors
    /// There were packets, or the counters cannot be read.
    pub async fn silent(&self) -> Result<()> {
        let packets = self.packets().await?;
        ensure!(packets == 0, "expected no packet outside, {packets} came");
        Ok(())
    }

    /// Leaves the room of a test that has come to this, and that lets no packet out.
    ///
    /// # Errors
    /// What it came to, or there were packets, or something does not go.
    pub async fn leave_silent(self, done: Result<()>) -> Result<()> {
        let silent = self.silent().await;
        self.leave().await?;
        done?;
        silent
    }

    /// Deletes the namespace and waits until its pods are gone, so that nothing of it is counted later.
    ///
    /// # Errors
    /// When something does not go.
    pub async fn leave(self) -> Result<()> {
        let world = &self.stage.world;
        world
            .kubectl(&["delete", "namespace", &self.name, "--wait=false"])
            .await?;
        wait(Duration::from_secs(180), "the namespace go", async || {
            Ok(world
                .get(&format!("/api/v1/namespaces/{}", self.name))
                .await?
                .is_none()
                .then_some(()))
        })
        .await
        .with_context(|| format!("failed to see namespace {} go", self.name))
    }
}
