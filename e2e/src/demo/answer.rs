//! The model's answer, its counters, and its seal.

use anyhow::{Result, ensure};

use super::{Demo, NAMESPACE, Show, seal};

impl Demo<'_> {
    pub(super) async fn answer(&self, show: &mut Show) -> Result<String> {
        show.now("What is the capital of France?");
        let answer = self.first_chat(show).await?;
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

    /// The runtime's own counters, so that nobody thinks of a canned answer.
    pub(super) async fn counters(&self, show: &mut Show) -> Result<()> {
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

    pub(super) async fn print_seal(&self, show: &mut Show) -> Result<()> {
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
