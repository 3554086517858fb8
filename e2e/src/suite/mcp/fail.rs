//! A server's processes are killed.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::place::{HELPER, NS, Place};
use crate::kube::wait;
use crate::objects::Subject;
use crate::suite::stage::Stage;

/// How long the next processes take before they work: long enough for everybody to see that nobody does.
const LATE_SECONDS: u32 = 20;
const SOON: Duration = Duration::from_secs(40);
const RECOVERY: Duration = Duration::from_secs(90);

pub(super) async fn killed(stage: &Stage) -> Result<()> {
    let place = stage.helper().await?;
    let mut config = place.config(HELPER, "auto");
    config["late_seconds"] = LATE_SECONDS.into();
    config["phrase"] = "again".into();
    let begun = std::time::Instant::now();
    place.checks(stage, &config, &["die"]).await?;
    let server = Subject::server(NS, HELPER);
    let world = &stage.world;
    world.wait_for(server, "Ready", "False", "", SOON).await?;
    world
        .wait_for(server, "Ready", "True", "", RECOVERY)
        .await?;
    let seconds = begun.elapsed().as_secs();
    ensure!(
        seconds >= LATE_SECONDS.into(),
        "expected it to be away for {LATE_SECONDS} s, it was back after {seconds}"
    );
    serves(stage, place, &config).await?;
    // What ended were children of the bridge: no container did.
    for pod in world.pods_of(server).await? {
        for status in ["initContainerStatuses", "containerStatuses"] {
            for container in pod["status"][status].as_array().into_iter().flatten() {
                ensure!(
                    container["restartCount"] == 0,
                    "expected no container to begin anew, got {container}"
                );
            }
        }
    }
    Ok(())
}

/// The Service leads to it again a moment after it is ready.
async fn serves(stage: &Stage, place: &Place, config: &serde_json::Value) -> Result<()> {
    wait(SOON, "it answer", async || {
        let echoes = place.checks(stage, config, &["echo"]).await;
        echoes.map(Some)
    })
    .await
}
