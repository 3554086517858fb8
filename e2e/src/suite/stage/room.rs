//! A namespace of one test, and the packets that came outside since it was entered.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Stage;
use crate::kube::wait;
use crate::outside;

/// What went on counts as over when nothing has arrived for so long.
const STILL: Duration = Duration::from_secs(3);
/// Not before: who is slow may not have begun.
const SOONEST: Duration = Duration::from_secs(5);
/// Nobody waits longer for who does not stop.
const LONGEST: Duration = Duration::from_secs(30);

/// A namespace of one test.
#[derive(Debug)]
pub struct Room<'a> {
    stage: &'a Stage,
    name: String,
    before: u64,
}

impl Stage {
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

    /// Waits until no more packets arrive, as they may until a busy machine has ended who sends them: how many came by
    /// then, and after how long the last of them, if any came meanwhile. That none comes afterwards is the caller's to
    /// check.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub async fn still(&self) -> Result<(u64, Duration)> {
        let begun = Instant::now();
        let (mut seen, mut since) = (self.packets().await?, begun);
        while (since.elapsed() < STILL || begun.elapsed() < SOONEST) && begun.elapsed() < LONGEST {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.packets().await?;
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
        Ok((seen, since - begun))
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
