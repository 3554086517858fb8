//! Rolling updates under a load of calls without sessions.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::place::{AGENT, NS, Place, delete};
use crate::objects::Subject;
use crate::suite::fixtures::random;
use crate::suite::languages::{self, CONTAINER, Language};
use crate::suite::stage::Stage;

/// The server.
const ROLLING: &str = "rolling";
/// The script of the load.
const LOAD: (Language, &str) = (Language::Python, "mcp_load.py");
/// After that the load ends by itself, before whoever waits for its end gives up.
const LONGEST: u32 = 220;
/// For a new pod with its proof, and the end of the old one.
const ROLLED: Duration = Duration::from_secs(100);

pub(super) async fn drops_nothing(stage: &Stage) -> Result<()> {
    let done = under_load(stage).await;
    delete(stage, &[ROLLING]).await?;
    done
}

/// Every call gets its answer, over connections that were open before and over new ones, with one replica: the old pod
/// serves until the new one is proven, and whoever has not heard of its end yet.
async fn under_load(stage: &Stage) -> Result<()> {
    let place = stage.helper().await?;
    stage.apply(&[round(place, 0)]).await?;
    let pods = rolled(stage, &BTreeSet::new()).await?;
    let mut config = place.config(ROLLING, "auto");
    config["phrase"] = "begin".into();
    place.serves(stage, &config, &["echo"]).await?;

    let until = format!("/tmp/{}", random());
    config["until"] = until.as_str().into();
    config["seconds"] = LONGEST.into();
    config["pause"] = 0.05.into();
    config["clients"] = json!({"kept": 2, "new": 2});
    let load = languages::lines(stage, (NS, AGENT), LOAD, &config);
    let rolling = async {
        let rolled = twice(stage, place, pods).await;
        let end = format!("open({until:?}, 'w')");
        let end = ["/usr/bin/python3", "-c", &end];
        stage.world.exec(NS, AGENT, CONTAINER, &end).await?;
        rolled
    };
    let (lines, rolled) = tokio::join!(load, rolling);
    let lines = lines?;
    rolled?;
    let told: Value = serde_json::from_str(&lines.concat())
        .with_context(|| format!("failed to read what became of the load: {lines:?}"))?;
    println!("e2e note   two rollouts of an MCP server, {told}");
    ensure!(
        told["failed"] == json!({}),
        "expected every call to be answered, got {told:#}"
    );
    let answered = told["answered"].as_u64().unwrap_or_default();
    ensure!(answered > 100, "expected a load, got {told:#}");
    Ok(())
}

/// The server as it is in one of the rounds: its pods are others in the next.
fn round(place: &Place, number: u32) -> Value {
    let mut server = place.server(ROLLING);
    server["spec"]["env"] = json!([{"name": "ROUND", "value": number.to_string()}]);
    server
}

async fn twice(stage: &Stage, place: &Place, mut pods: BTreeSet<String>) -> Result<()> {
    for number in [1, 2] {
        stage.apply(&[round(place, number)]).await?;
        pods = rolled(stage, &pods).await?;
    }
    // For calls of the last pod, by all of the load.
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(())
}

/// Waits until another pod than these serves what is written, alone: its UID.
async fn rolled(stage: &Stage, before: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let server = Subject::server(NS, ROLLING);
    stage.world.rolled(server, 1, before, ROLLED).await
}
