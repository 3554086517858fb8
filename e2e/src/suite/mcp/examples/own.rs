//! The example of a server of one's own: its Dockerfile makes the image, its objects are applied, and the commands of
//! its README ask it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{NS, told};
use crate::asking::LED;
use crate::install;
use crate::kube::wait;
use crate::suite::fixtures::{random, secret};
use crate::suite::languages::{self, CONTAINER};
use crate::suite::mcp::place::expect;
use crate::suite::stage::Stage;

/// The example's folder.
const FOLDER: &str = "fastmcp-pnpm";
/// Its model, and its server.
const MODEL: &str = "assistant-of-ask";
const SERVER: &str = "ask";
/// The pod that it lets in.
const CALLER: &str = "caller";

pub(in crate::suite::mcp) async fn answers(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let done = inside(stage).await;
    room.leave_silent(done).await
}

async fn inside(stage: &Stage) -> Result<()> {
    let nodes = stage.cluster().nodes().await?;
    let node = nodes.last().context("failed to find a node")?;
    let image = install::ask(stage.cluster()).await?;
    // The image of Node.js, on which the server's is built, has a shell and curl.
    let mut caller = languages::pod(NS, CALLER, &image, node);
    caller["metadata"]["labels"] = json!({"ask-client": "true"});
    caller["spec"]["containers"][0]["command"] = json!(["sleep", "infinity"]);
    let key = random();
    let keys = secret(NS, "ask-keys", &json!({"agent": key}));
    stage.apply(&[keys, caller]).await?;
    let world = &stage.world;
    let places = [
        ("MODEL_REF", stage.artifact()),
        ("SERVER_IMAGE", image.as_str()),
    ];
    for file in ["10-modeldeployment.yaml", "20-mcpserver.yaml"] {
        let example = install::example(&format!("{FOLDER}/{file}"), &places)?;
        world.apply(&example).await?;
    }
    world.pods_ready(NS, &[CALLER]).await?;
    let long = Duration::from_secs(180);
    world
        .wait_condition(NS, MODEL, "Ready", "True", "", long)
        .await?;
    let server = told(stage, SERVER).await?;
    expect(&server, "Sealed", "True", "DeclaredEgressOnly")?;
    expect(&server, "ModelsBound", "True", "Bound")?;

    let commands = commands()?;
    let answer = wait(LED, "it answer", async || {
        asked(stage, &key, &commands).await.map(Some)
    })
    .await?;
    for part in [
        r#""serverInfo":{"name":"ask""#,
        r#""tools":[{"description":"Asks"#,
        "Paris",
    ] {
        ensure!(answer.contains(part), "expected {part}, got {answer}");
    }
    let refused = asked(stage, "wrong", &commands).await?;
    ensure!(
        refused.contains("invalid_api_key") && !refused.contains("\"result\""),
        "expected every request to be refused, got {refused}"
    );
    Ok(())
}

/// The README's commands for asking the server.
fn commands() -> Result<String> {
    let readme = install::example(&format!("{FOLDER}/README.md"), &[])?;
    let block = readme
        .split_once("```sh ask\n")
        .and_then(|(_, rest)| rest.split_once("```\n"));
    let (commands, _) = block.context("failed to find the README's commands")?;
    Ok(commands.to_owned())
}

/// What they print in the pod that is let in, with this key. It comes on the standard input: an argument would be in
/// the API server's log.
async fn asked(stage: &Stage, key: &str, commands: &str) -> Result<String> {
    let url = format!("http://{SERVER}.{NS}.svc:8080/mcp");
    let script = format!("MCP={url} KEY={key}\n{commands}");
    let shell = ["sh", "-eu"];
    let world = &stage.world;
    let ran = world.feed(NS, CALLER, CONTAINER, &shell, &script).await?;
    Ok(ran.stdout)
}
