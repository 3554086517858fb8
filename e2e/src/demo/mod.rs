//! The demo: a model answers from a sealed pod, somebody opens a hole, the model shuts, and opens again.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cluster::{Cluster, Shape, cache};
use crate::install::{self, example};
use crate::kube::wait;
use crate::objects::{API, Condition, condition_of};
use crate::suite::fixtures::{capital_of_france, tool_pod};
use crate::world::{World, name_of};

mod circle;
mod hole;
mod seal;
mod show;

pub use show::{Record, Show};

/// Namespace and name that the examples use.
const NAMESPACE: &str = "team-a";
const NAME: &str = "assistant";
const CLIENT: &str = "client";

/// What the demo needs beside a cluster with the operator in it.
#[derive(Clone, Debug)]
pub struct Props {
    /// The model's reference by digest.
    pub model: String,
    /// The image of the client.
    pub tool: String,
}

/// Applies the examples and shows what happens.
///
/// # Errors
/// The first thing that did not happen.
pub async fn run(world: &World, props: &Props, show: &mut Show) -> Result<Record> {
    let demo = Demo { world, props };
    demo.apply(show).await?;
    demo.pulled(show).await?;
    demo.closed(show).await?;
    demo.opened(show).await?;
    let answer = demo.answer(show).await?;
    demo.counters(show).await?;
    demo.print_seal(show).await?;
    demo.circle(show).await?;
    demo.hole(show, "hole", "one-address.yaml", "PolicyWidens")
        .await?;
    demo.hole(show, "wide", "wide.yaml", "EgressOpen").await?;
    let object = demo.object().await?;
    Ok(Record {
        answer,
        digest: props.model.split('@').nth(1).unwrap_or_default().to_owned(),
        stages: show.stages.clone(),
        conditions: object["status"]["conditions"].clone(),
    })
}

struct Demo<'a> {
    world: &'a World,
    props: &'a Props,
}

impl Demo<'_> {
    async fn object(&self) -> Result<Value> {
        let object = self.world.model(NAMESPACE, NAME).await?;
        Ok(object.unwrap_or_default())
    }

    fn example(&self, file: &str) -> Result<String> {
        example(file, &[("MODEL_REF", &self.props.model)])
    }

    /// The examples as they are in the repository, with the model's reference filled in, and a client.
    async fn apply(&self, show: &mut Show) -> Result<()> {
        self.world.namespace(NAMESPACE).await?;
        for file in [
            "assistant/00-namespace.yaml",
            "assistant/10-modeldeployment.yaml",
        ] {
            self.world.apply(&self.example(file)?).await?;
        }
        let mut client: Value = serde_json::from_str(&tool_pod(
            NAMESPACE,
            CLIENT,
            &self.props.tool,
            CLIENT,
            &["tool", "idle"],
        ))?;
        client["metadata"]["labels"] = serde_json::json!({"assistant-client": "true"});
        self.world.apply(&client.to_string()).await?;
        self.world.apply(&self.server().to_string()).await?;
        show.done(
            "apply",
            format!(
                "examples/assistant applied to namespace {NAMESPACE}, model {}, and an MCP server beside it",
                self.props.model
            ),
        );
        Ok(())
    }

    /// Plan and pull, as the ModelArtifact reports them.
    async fn pulled(&self, show: &mut Show) -> Result<()> {
        let mut last = String::new();
        let begun = Instant::now();
        loop {
            let artifacts = self
                .world
                .list(&format!("{API}/namespaces/{NAMESPACE}/modelartifacts"))
                .await?;
            let Some(artifact) = artifacts.first() else {
                ensure!(
                    begun.elapsed() < Duration::from_secs(60),
                    "failed to see a ModelArtifact"
                );
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            };
            let ready = condition_of(artifact, "ArtifactReady");
            let percent = artifact["status"]["progress"]["percent"]
                .as_str()
                .unwrap_or_default();
            show.now(format!("{} {percent} {}", ready.reason, ready.message));
            if ready.reason != last && !ready.reason.is_empty() {
                last.clone_from(&ready.reason);
                let step = if ready.reason == "Verified" {
                    "verified"
                } else {
                    "artifact"
                };
                show.done(step, format!("{} {}", ready.reason, ready.message));
            }
            if ready.status == "True" {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < Duration::from_secs(240),
                "failed to see the artifact verified, it is {ready:?}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The pod is there and refuses, whoever asks.
    async fn closed(&self, show: &mut Show) -> Result<()> {
        self.world
            .kubectl(&[
                "wait",
                "-n",
                NAMESPACE,
                &format!("pod/{CLIENT}"),
                "--for=condition=Ready",
                "--timeout=50s",
            ])
            .await?;
        show.now("waiting for the pod, and asking it before it is proven");
        let (said, sealed) = wait(
            Duration::from_secs(60),
            "the pod's first word",
            async || {
                let status = self.ask_pod().await?;
                let sealed = condition_of(&self.object().await?, "Sealed");
                Ok(status.map(|status| (status, sealed)))
            },
        )
        .await?;
        if said == 503 {
            show.done(
                "closed",
                format!(
                    "asked the pod's own address before the proof: 503 ({} {})",
                    sealed.status, sealed.reason
                ),
            );
        } else {
            show.done(
                "closed",
                format!("the proof was there before anybody could ask: {said}"),
            );
        }
        Ok(())
    }

    /// What the pod's own address says, past the Service; `None` while nobody answers there.
    async fn ask_pod(&self) -> Result<Option<u16>> {
        let pods = self.world.pods(NAMESPACE, NAME).await?;
        let Some(ip) = pods.first().and_then(|pod| pod["status"]["podIP"].as_str()) else {
            return Ok(None);
        };
        let url = format!("http://{ip}:8080/v1/models");
        let answer = self.fetch(&url, None).await;
        Ok(answer.ok().map(|(status, _)| status))
    }

    async fn ready(&self) -> Result<Condition> {
        let patience = Duration::from_secs(120);
        self.world
            .wait_condition(NAMESPACE, NAME, "Ready", "True", "", patience)
            .await
    }

    async fn opened(&self, show: &mut Show) -> Result<()> {
        show.now("five rounds over three seconds, then the engine starts and loads the model");
        let ready = self.ready().await?;
        let object = self.object().await?;
        let sealed = condition_of(&object, "Sealed");
        show.done(
            "ready",
            format!(
                "Sealed={} {}, Ready={} at {}",
                sealed.status,
                sealed.reason,
                ready.status,
                object["status"]["url"].as_str().unwrap_or_default()
            ),
        );
        Ok(())
    }

    /// Status and body; an error when no answer comes.
    async fn fetch(&self, url: &str, data: Option<&str>) -> Result<(u16, String)> {
        // Who asks for a completion waits; who asks whether there is anybody does not.
        let patience = if data.is_some() { 50 } else { 2 };
        self.world.fetch(NAMESPACE, url, data, None, patience).await
    }

    /// The base URL of the model's API.
    async fn base(&self) -> Result<String> {
        let object = self.object().await?;
        let url = object["status"]["url"].as_str().unwrap_or_default();
        let url = url.trim_end_matches('/');
        Ok(if url.ends_with("/v1") {
            url.to_owned()
        } else {
            format!("{url}/v1")
        })
    }

    /// One chat completion through the Service, as an application asks: the model's message.
    async fn complete(&self, order: &str) -> Result<Value> {
        let url = format!("{}/chat/completions", self.base().await?);
        let (status, body) = self.fetch(&url, Some(order)).await?;
        ensure!(status == 200, "expected an answer, got {status} {body}");
        let completion: Value = serde_json::from_str(&body)?;
        Ok(completion["choices"][0]["message"].clone())
    }

    /// What the model says to the question.
    async fn chat(&self, nonce: &str) -> Result<String> {
        let message = self.complete(&capital_of_france(NAME, nonce)).await?;
        let text = message["content"].as_str().unwrap_or_default();
        Ok(text.trim().to_owned())
    }

    async fn answer(&self, show: &mut Show) -> Result<String> {
        show.now("What is the capital of France?");
        let answer = self.chat("").await?;
        show.done(
            "answer",
            format!("What is the capital of France? {answer:?}"),
        );
        ensure!(
            answer.contains("Paris"),
            "expected the answer to name Paris"
        );
        Ok(answer)
    }

    async fn pod(&self) -> Result<String> {
        let pods = self.world.pods(NAMESPACE, NAME).await?;
        let standing = pods
            .iter()
            .find(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        standing
            .map(|pod| name_of(pod).to_owned())
            .context("failed to find the model's pod")
    }

    /// The runtime's own counters, so that nobody thinks of a canned answer.
    async fn counters(&self, show: &mut Show) -> Result<()> {
        let before = self.tokens().await?;
        let nonce = format!(" {:016x}", rand::random::<u64>());
        let answer = self.chat(&nonce).await?;
        let after = self.tokens().await?;
        ensure!(
            after.0 > before.0 && after.1 > before.1,
            "expected the counters to move from {before:?}, got {after:?}"
        );
        let text = format!(
            "with the nonce{nonce} in the prompt: {answer:?}; the runtime's counters went from {}+{} to {}+{} tokens (prompt+generated)",
            before.0, before.1, after.0, after.1
        );
        show.done("counters", text);
        Ok(())
    }

    async fn tokens(&self) -> Result<(f64, f64)> {
        let pod = self.pod().await?;
        let prompt = self.world.tokens(NAMESPACE, &pod, "prompt").await?;
        Ok((
            prompt,
            self.world.tokens(NAMESPACE, &pod, "generated").await?,
        ))
    }

    async fn print_seal(&self, show: &mut Show) -> Result<()> {
        let report = self
            .world
            .pod_json(NAMESPACE, &self.pod().await?, 8081, "/sealz")
            .await?;
        let object = self.object().await?;
        show.done(
            "seal",
            format!(
                "state {}, closure {}, locks {}",
                report["state"], report["closure"], report["locks"]
            ),
        );
        for line in seal::table(&report) {
            show.say(&format!("  {line}"));
        }
        show.say(&format!("  exits: {}", object["status"]["seal"]["exits"]));
        Ok(())
    }
}

/// The whole of it, from an empty machine to a cluster that is gone again, unless it is to be kept.
///
/// # Errors
/// The first thing that did not happen.
pub async fn whole(shape: &Shape, operator: &Path, keep: bool) -> Result<()> {
    let mut show = Show::new();
    let cluster = Cluster::new(shape)?;
    cluster.up().await?;
    let environment = cluster.environment()?;
    show.done(
        "cluster",
        format!(
            "Kubernetes is up with {} node(s)",
            cluster.nodes().await?.len()
        ),
    );
    let result = async {
        let world = World::new(environment.clone()).await?;
        let pushed = install::push(&cluster, operator, false).await?;
        show.done(
            "registry",
            format!("images and model pushed, model {}", pushed.model.oras),
        );
        install::install(&world, &pushed).await?;
        show.done(
            "operator",
            "installed by its chart with helm, two canaries beside it",
        );
        run(&world, &install::props(&pushed), &mut show).await
    }
    .await;
    show.end();
    if let Ok(record) = &result {
        record.write(&cache())?;
    }
    let stays = keep || matches!(cluster, Cluster::Kubeconfig(_));
    if stays {
        let kubeconfig = environment.kubeconfig.display();
        show.say("demo look      it is still up; look around with");
        show.say(&format!("  export KUBECONFIG={kubeconfig}"));
        show.say("  kubectl get sealroom -A -o wide; kubectl -n team-a describe modeldeployment assistant");
        show.say(match cluster {
            Cluster::Kubeconfig(_) => {
                "demo end       take the demo away with: kubectl delete namespace team-a"
            }
            _ => "demo end       take everything down with: make bed-down",
        });
    } else {
        cluster.down().await?;
        show.say(
            "demo end       everything is taken down; KEEP=1 make demo leaves it up to look around",
        );
    }
    result.map(drop)
}
