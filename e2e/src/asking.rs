//! Asking a model as an application does, from a pod of the tool image.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::suite::PROGRAM;
use crate::world::World;

/// How many seconds an answer may take beside fifty pods that start on two cores.
pub const PATIENCE: u32 = 240;

impl World {
    /// Sends one request from the tool pod `client`, a POST when there is data, with a key when there is one:
    /// status and body.
    ///
    /// # Errors
    /// When no answer comes within `seconds`.
    pub async fn fetch(
        &self,
        namespace: &str,
        url: &str,
        data: Option<&str>,
        key: Option<&str>,
        seconds: u32,
    ) -> Result<(u16, String)> {
        let deadline = Duration::from_secs(u64::from(seconds) + 20);
        let seconds = seconds.to_string();
        let mut command = vec![
            PROGRAM,
            "tool",
            "fetch",
            "--exit-zero",
            "--timeout-seconds",
            &seconds,
            url,
        ];
        if let Some(data) = data {
            command.extend(["--data", data]);
        }
        if let Some(key) = key {
            command.extend(["--key", key]);
        }
        let output = self
            .exec_program(namespace, "client", "tool", &command)
            .deadline(deadline)
            .run()
            .await?;
        let (first, body) = output
            .stdout
            .split_once('\n')
            .unwrap_or((&output.stdout, ""));
        let status = first.split(' ').next().unwrap_or_default().parse();
        Ok((
            status.with_context(|| format!("failed to read a status from {first:?}"))?,
            body.to_owned(),
        ))
    }

    /// How many tokens of this kind (`prompt`, `generated`) the runtime has counted, as the gate passes it on.
    ///
    /// # Errors
    /// When the counter cannot be read.
    pub async fn tokens(&self, namespace: &str, pod: &str, kind: &str) -> Result<f64> {
        let metrics = self.pod_text(namespace, pod, 8082, "/metrics").await?;
        metrics
            .lines()
            .find(|line| line.starts_with("sealroom_runtime_tokens_total") && line.contains(kind))
            .and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .with_context(|| format!("failed to find the counter of {kind} tokens"))
    }
}
