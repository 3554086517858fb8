//! From the examples to a model that serves.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{CLIENT, Demo, NAMESPACE, READY, SEEN, Show};
use crate::kube::wait;
use crate::objects::{API, condition_of};
use crate::suite::fixtures::tool_pod;

impl Demo<'_> {
    /// The examples as they are in the repository, with the model's reference filled in, and a client.
    pub(super) async fn apply(&self, show: &mut Show) -> Result<()> {
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
    pub(super) async fn pulled(&self, show: &mut Show) -> Result<()> {
        let mut last = String::new();
        let begun = Instant::now();
        loop {
            let artifacts = self
                .world
                .list(&format!("{API}/namespaces/{NAMESPACE}/modelartifacts"))
                .await?;
            let Some(artifact) = artifacts.first() else {
                ensure!(begun.elapsed() < SEEN, "failed to see a ModelArtifact");
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
                begun.elapsed() < READY,
                "failed to see the artifact verified, it is {ready:?}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The pod is there and refuses, whoever asks.
    pub(super) async fn closed(&self, show: &mut Show) -> Result<()> {
        self.world.pods_ready(NAMESPACE, &[CLIENT]).await?;
        show.now("waiting for the pod, and asking it before it is proven");
        let (said, sealed) = wait(SEEN, "the pod's first word", async || {
            let status = self.ask_pods().await?;
            let sealed = condition_of(&self.object().await?, "Sealed");
            Ok(status.map(|status| (status, sealed)))
        })
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

    pub(super) async fn opened(&self, show: &mut Show) -> Result<()> {
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
}
