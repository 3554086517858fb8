//! What becomes of it while there is a hole, and while it is rolled out.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{NAME, NS, made, paris, served};
use crate::suite::hole::shuts_and_recovers;
use crate::suite::load::{Load, stream};
use crate::suite::rollout::{changed, complete, rolled};
use crate::suite::stage::Stage;

/// What a rollout changes: the engine's own setting, so that its store is laid out anew.
const CHANGE: [(&str, u32); 1] = [("/runtime/ollama/contextLength", 1536)];
/// Short streams by every way to connect. The engine makes one answer at a time.
const FEW: [&str; 8] = [
    "--kept",
    "1",
    "--new",
    "1",
    "--http2",
    "1",
    "--pause-ms",
    "700",
];

/// Its kernel lock leaves it TCP, so that it is the network's that is open here; the engine itself dials nobody.
pub(super) async fn shuts(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    made(stage).await?;
    shuts_and_recovers(stage, &served()).await?;
    paris(stage).await?;
    room.silent().await
}

pub(super) async fn rolls(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let done = under_load(stage).await;
    room.leave_silent(done).await
}

/// Every request gets its whole answer: the old pod serves until the new one has loaded its model and is proven, and
/// whoever has not heard of its end yet.
async fn under_load(stage: &Stage) -> Result<()> {
    let model = made(stage).await?;
    let served = served();
    let pods = rolled(stage, &served, 1, &BTreeSet::new()).await?;
    let load = Load::start(stage, &served, &stream(NAME, 8), &FEW)?;
    let rolling = changed(stage, &served, model, pods, &CHANGE).await;
    // For streams of the new pod, by all of the load.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let load = load.end().await?;
    rolling?;
    println!(
        "e2e note   a rollout of Ollama, {} streams; of the requests met a pod's leaving: {:?}",
        load.complete, load.crossed
    );
    complete(&load)?;
    ensure!(load.complete > 10, "expected a load, got {load:?}");
    Ok(())
}
