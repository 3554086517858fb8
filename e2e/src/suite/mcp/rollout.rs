//! Rolling updates under a load of calls without sessions.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::kinds::over_http;
use super::place::{AGENT, NS, Place, delete};
use crate::objects::Subject;
use crate::suite::fixtures::random;
use crate::suite::languages::{self, CONTAINER, Language};
use crate::suite::stage::Stage;

/// A server that is rolled out.
pub(super) struct Rolling {
    name: &'static str,
    replicas: u8,
    /// Whether it speaks HTTP itself, or standard input and output.
    http: bool,
    /// How often it is.
    rounds: u8,
    /// How many seconds lie between two calls of a client.
    pause: f64,
}

/// One pod, so that a connection which was kept has to go to the next one.
pub(super) const ALONE: Rolling = Rolling {
    name: "rolling",
    replicas: 1,
    http: false,
    rounds: 2,
    pause: 0.05,
};

/// Two pods, one of which has all of the load, since it comes from one address: that one's clients go to the other one
/// or to a new one.
pub(super) const PAIR: Rolling = Rolling {
    name: "rolling-pair",
    replicas: 2,
    http: true,
    rounds: 1,
    pause: 0.2,
};

/// The script of the load.
const LOAD: (Language, &str) = (Language::Python, "mcp_load.py");
/// After that the load ends by itself, before whoever waits for its end gives up.
const LONGEST: u32 = 220;
/// For a new pod with its proof, and the end of the old one.
const ROLLED: Duration = Duration::from_secs(100);

pub(super) async fn drops_nothing(stage: &Stage, rolling: &Rolling) -> Result<()> {
    let done = under_load(stage, rolling).await;
    delete(stage, &[rolling.name]).await?;
    done
}

/// Every call gets its answer, over connections that were open before and over new ones: an old pod serves until a new
/// one is proven, and whoever has not heard of its end yet.
async fn under_load(stage: &Stage, server: &Rolling) -> Result<()> {
    let place = stage.helper().await?;
    stage.apply(&[server.round(place, 0)]).await?;
    let pods = server.rolled(stage, &BTreeSet::new()).await?;
    let mut config = place.config(server.name, "auto");
    config["phrase"] = "begin".into();
    place.serves(stage, &config, &["echo"]).await?;

    let until = format!("/tmp/{}", random());
    config["until"] = until.as_str().into();
    config["seconds"] = LONGEST.into();
    config["pause"] = server.pause.into();
    config["clients"] = json!({"kept": 2, "new": 2});
    let load = languages::lines(stage, (NS, AGENT), LOAD, &config);
    let rolling = async {
        let rolled = server.rounds(stage, place, pods).await;
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
    let Rolling {
        replicas, rounds, ..
    } = server;
    println!("e2e note   {rounds} rollout(s) of {replicas} pod(s) of an MCP server, {told}");
    ensure!(
        told["failed"] == json!({}),
        "expected every call to be answered, got {told:#}"
    );
    let answered = told["answered"].as_u64().unwrap_or_default();
    ensure!(answered > 100, "expected a load, got {told:#}");
    Ok(())
}

impl Rolling {
    /// The server as it is in one of the rounds: its pods are others in the next.
    fn round(&self, place: &Place, number: u8) -> Value {
        let mut server = place.server(self.name);
        let spec = &mut server["spec"];
        spec["replicas"] = self.replicas.into();
        let mut variables = vec![json!({"name": "ROUND", "value": number.to_string()})];
        if self.http {
            variables.push(over_http(spec));
        }
        spec["env"] = variables.into();
        server
    }

    async fn rounds(&self, stage: &Stage, place: &Place, mut pods: BTreeSet<String>) -> Result<()> {
        for number in 1..=self.rounds {
            stage.apply(&[self.round(place, number)]).await?;
            pods = self.rolled(stage, &pods).await?;
        }
        // For calls of the last pods, by all of the load.
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    }

    /// Waits until other pods than these serve what is written, alone: their UIDs.
    async fn rolled(&self, stage: &Stage, before: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let server = Subject::server(NS, self.name);
        // They are made one after the other.
        let within = ROLLED * u32::from(self.replicas);
        stage
            .world
            .rolled(server, self.replicas.into(), before, within)
            .await
    }
}
