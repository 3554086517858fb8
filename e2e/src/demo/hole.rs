//! Somebody opens a hole, and closes it again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{Demo, GLANCE, NAME, NAMESPACE, SEEN, Show};
use crate::asking::LED;
use crate::kube::wait;

/// For how long requests may be served after an opening was seen.
const SHUT: Duration = Duration::from_secs(20);

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
        let url = format!("{}/models", self.base().await?);
        let begun = Instant::now();
        self.world.apply(&hole).await?;
        show.now(format!("examples/holes/{file} is applied"));
        let sealed = self
            .world
            .wait_condition(NAMESPACE, NAME, "Sealed", "False", reason, SEEN)
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
        let refused = refused("a refused request", async || {
            self.world.refusal(NAMESPACE, &url, GLANCE).await
        })
        .await?;
        let took = begun.elapsed();
        let past = self.ask_pods().await?;
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
        let answer = self.first_chat(show).await?;
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

/// Waits until this tells how it was refused, once an opening was seen. There is time for what tells nothing, such as an
/// exec that failed; who asks later than [`SHUT`] and is served has found it open.
pub(super) async fn refused<F>(what: &str, ask: impl Fn() -> F) -> Result<String>
where
    F: Future<Output = Result<Option<String>>>,
{
    let seen = Instant::now();
    let refusal = wait(LED, what, async || {
        let asked = seen.elapsed();
        match ask().await? {
            None if asked < SHUT => Ok(None),
            told => Ok(Some(told)),
        }
    })
    .await?;
    refusal.with_context(|| format!("expected {what} within {} s, it was served", SHUT.as_secs()))
}
