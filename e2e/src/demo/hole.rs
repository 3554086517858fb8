//! Somebody opens a hole, and closes it again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Demo, NAME, NAMESPACE, Show};
use crate::kube::wait;
use crate::tool::nobody_answered;

impl Demo<'_> {
    /// Opens a hole from the examples, watches the model and the MCP server shut, closes the hole, watches both open
    /// again.
    pub(super) async fn hole(
        &self,
        show: &mut Show,
        stage: &str,
        file: &str,
        reason: &str,
    ) -> Result<()> {
        let hole = self.example(&format!("holes/{file}"))?;
        let base = self.base().await?;
        let begun = Instant::now();
        self.world.apply(&hole).await?;
        show.now(format!("examples/holes/{file} is applied"));
        let sealed = self
            .world
            .wait_condition(
                NAMESPACE,
                NAME,
                "Sealed",
                "False",
                reason,
                Duration::from_secs(60),
            )
            .await?;
        let took = begun.elapsed();
        show.done_in(
            stage,
            took,
            format!(
                "examples/holes/{file} applied: Sealed=False {} {}",
                sealed.reason, sealed.message
            ),
        );
        let refused = wait(Duration::from_secs(20), "a refused request", async || {
            let url = format!("{base}/models");
            let answer = self.fetch(&url, None).await;
            match answer {
                Ok((200, _)) => Ok(None),
                Ok((status, _)) => Ok(Some(status.to_string())),
                Err(error) if nobody_answered(&format!("{error:#}")) => {
                    Ok(Some("no connection".to_owned()))
                }
                Err(error) => Err(error),
            }
        })
        .await?;
        let took = begun.elapsed();
        let past = self.ask_pod().await?;
        ensure!(
            past.is_none_or(|status| status == 503),
            "expected the pod to refuse, its own address says {past:?}"
        );
        let past = past.map_or("nothing".to_owned(), |status| status.to_string());
        show.done_in(
            "shut",
            took,
            format!("the Service gives {refused}, the pod's own address {past}"),
        );
        let caught = self.caught(reason).await?;
        show.done_in("caught", begun.elapsed(), caught);
        let begun = Instant::now();
        self.world
            .environment
            .kubectl(["delete", "-f", "-"])
            .input(hole)
            .run()
            .await?;
        show.now("the hole is gone, waiting for the proof");
        self.ready().await?;
        let answer = self.chat("").await?;
        ensure!(
            answer.contains("Paris"),
            "expected the answer again, got {answer:?}"
        );
        show.done_in(
            "again",
            begun.elapsed(),
            format!("hole removed, proven and serving again by itself: {answer:?}"),
        );
        self.server_ready().await?;
        Ok(())
    }
}
