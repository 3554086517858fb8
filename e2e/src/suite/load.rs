//! A load of streams from the pod `client` of a namespace, while something else happens.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::fixtures::tool_pod;
use super::stage::Served;
use super::{PROGRAM, Stage};
use crate::tool::Summary;

/// For the streams that are under way to end.
const LAST_STREAMS: Duration = Duration::from_secs(180);

/// The request of a stream with at most so many tokens.
#[must_use]
pub fn stream(model: &str, tokens: u32) -> String {
    json!({
        "model": model,
        "stream": true,
        "temperature": 0,
        "seed": 7,
        "max_tokens": tokens,
        "messages": [{"role": "user", "content": "Count from one to a hundred."}],
    })
    .to_string()
}

/// The pod that the load comes from.
///
/// # Errors
/// When it does not become ready.
pub async fn client(stage: &Stage, namespace: &str) -> Result<()> {
    let tool = &stage.images.tool;
    let pod = tool_pod(namespace, "client", tool, "client", &["tool", "idle"]);
    stage.world.apply(&pod).await?;
    stage.world.pods_ready(namespace, &["client"]).await?;
    Ok(())
}

/// It ends with this, or when it is told to.
#[derive(Debug)]
pub struct Load(Child);

impl Load {
    /// Starts `tool load` with these flags against the chat completions of a model.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub fn start(stage: &Stage, model: &Served, body: &str, flags: &[&str]) -> Result<Self> {
        let url = format!("{}/v1/chat/completions", model.url);
        let exec = ["exec", "-i", "-n", &model.namespace, "client", "-c", "tool"];
        let environment = &stage.world.environment;
        let child = Command::new(&environment.kubectl)
            .env("KUBECONFIG", &environment.kubeconfig)
            .args(exec)
            .args(["--", PROGRAM, "tool", "load", &url, "--data", body])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("failed to start the load")?;
        Ok(Self(child))
    }

    /// Lets the last streams end: what became of all of them.
    ///
    /// # Errors
    /// When it broke off, or does not end.
    pub async fn end(mut self) -> Result<Summary> {
        drop(self.0.stdin.take());
        let ended = timeout(LAST_STREAMS, self.0.wait_with_output());
        let output = ended.await.context("failed to end the load in time")??;
        ensure!(
            output.status.success(),
            "failed to run the load: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("failed to read what became of the load")
    }
}
