//! Asking a pod past every policy, by a port that kubectl forwards.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::world::World;

/// For a forward to stand, and for the answer.
const PATIENCE: Duration = Duration::from_secs(40);

impl World {
    /// Gets a path from a port of a pod through the API server, past every policy.
    ///
    /// # Errors
    /// When no answer comes or it is no JSON.
    pub async fn pod_json(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        path: &str,
    ) -> Result<Value> {
        let text = self.pod_text(namespace, pod, port, path).await?;
        serde_json::from_str(&text).with_context(|| format!("failed to parse {path} of {pod}"))
    }

    /// The same, as text.
    ///
    /// # Errors
    /// When twice the forward does not stand or the pod gives no 2xx: tells of both times.
    pub async fn pod_text(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        path: &str,
    ) -> Result<String> {
        let told = self.forwarded(namespace, pod, port, path).await;
        match told {
            Ok(text) => Ok(text),
            // On a busy machine a forward may not stand in time, or break.
            Err(first) => {
                let told = self.forwarded(namespace, pod, port, path).await;
                told.with_context(|| format!("failed twice, the first time: {first:#}"))
            }
        }
    }

    async fn forwarded(&self, namespace: &str, pod: &str, port: u16, path: &str) -> Result<String> {
        let mut forward = Command::new(&self.environment.kubectl)
            .env("KUBECONFIG", &self.environment.kubeconfig)
            .args([
                "port-forward",
                "-n",
                namespace,
                &format!("pod/{pod}"),
                &format!(":{port}"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = forward
            .stdout
            .take()
            .context("failed to read kubectl's output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .with_context(|| format!("failed to forward to {pod}:{port} in time"))??
            .unwrap_or_default();
        let local = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("127.0.0.1:"))
            .with_context(|| format!("failed to forward to {pod}:{port}"))?
            .to_owned();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()?;
        let text = client
            .get(format!("http://127.0.0.1:{local}{path}"))
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?;
        forward.kill().await?;
        Ok(text)
    }
}
