//! Asking a model as an application does, from a pod of the tool image.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::kube::wait;
use crate::objects::Subject;
use crate::suite::PROGRAM;
use crate::tool::nobody_answered;
use crate::world::World;

/// How many seconds an answer may take beside fifty pods that start on two cores.
pub const PATIENCE: u32 = 240;
/// The same where it is asked whether somebody serves, and asked again.
pub const GLANCE: u32 = 25;
/// For a Service to lead to what is ready, and no longer to what goes.
pub const LED: Duration = Duration::from_secs(60);

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

    /// How a GET from the tool pod `client` is refused, by a status or since nobody answers; `None` while it is served.
    ///
    /// # Errors
    /// What tells nothing of who was asked, such as an exec that failed.
    pub async fn refusal(
        &self,
        namespace: &str,
        url: &str,
        seconds: u32,
    ) -> Result<Option<String>> {
        match self.fetch(namespace, url, None, None, seconds).await {
            Ok((200, _)) => Ok(None),
            Ok((status, _)) => Ok(Some(status.to_string())),
            Err(error) if nobody_answered(&format!("{error:#}")) => {
                Ok(Some("no connection".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// What a model's pods say at their own addresses, past the Service, to the tool pod `client`: an address and its
    /// status, anything but a refusal as soon as one of them says it. `None` while nobody answers there, as a pod does
    /// that ends or has not begun.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn ask_pods(
        &self,
        namespace: &str,
        of: Subject<'_>,
        seconds: u32,
    ) -> Result<Option<(String, u16)>> {
        let mut refusal = None;
        for address in self.addresses(of).await? {
            let url = format!("http://{address}:8080/v1/models");
            let asked = self.fetch(namespace, &url, None, None, seconds).await;
            let Ok((status, _)) = asked else { continue };
            let said = Some((address, status));
            if status != 503 {
                return Ok(said);
            }
            refusal = said;
        }
        Ok(refusal)
    }

    /// What a model that is ready answers first through its Service, which a moment after that may lead to nobody yet,
    /// or to a pod that refuses because it goes: the answer, and how often such a pod refused before it.
    ///
    /// # Errors
    /// When nothing else comes in time.
    pub async fn first_answer<F>(
        &self,
        of: Subject<'_>,
        ask: impl Fn() -> F,
    ) -> Result<((u16, String), u32)>
    where
        F: Future<Output = Result<(u16, String)>>,
    {
        let refused = Cell::new(0);
        let answer = wait(LED, "an answer through the Service", async || {
            let goes = self.goes(of).await?;
            let (status, body) = ask().await?;
            // Looked at on both sides: who goes may be gone by then, or have begun to go meanwhile.
            if status == 503 && (goes || self.goes(of).await?) {
                refused.set(refused.get() + 1);
                bail!("expected an answer, a pod that goes said 503 {body}");
            }
            Ok(Some((status, body)))
        })
        .await?;
        Ok((answer, refused.get()))
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
