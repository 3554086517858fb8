//! Servers whose tools are pinned.

use std::os::unix::fs::symlink;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::dialled::outside;
use super::place::{HELPER, NS, TOOLS, delete, expect, object, told};
use crate::kube::wait;
use crate::objects::Subject;
use crate::suite::stage::Stage;

/// Its pin is the right one, until it changes a tool.
const PINNED: &str = "pinned";
/// Its pin is another one.
const OTHER: &str = "other";
const LONG: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(40);

pub(super) async fn drifts(stage: &Stage) -> Result<()> {
    let done = inside(stage).await;
    delete(stage, &[PINNED, OTHER]).await?;
    done
}

async fn inside(stage: &Stage) -> Result<()> {
    let place = stage.helper().await?;
    let world = &stage.world;
    let helper = told(stage, HELPER).await?;
    let printed = printed(stage, HELPER).await?;
    let hash = printed.as_str();
    ensure!(
        helper["status"]["tools"]["hash"] == hash,
        "expected the hash of the status, got {hash:?} and {}",
        helper["status"]["tools"]
    );
    let wrong = format!("sha256:{}", "0".repeat(64));
    let servers = [(PINNED, hash), (OTHER, wrong.as_str())].map(|(name, pin)| {
        let mut server = place.server(name);
        server["spec"]["tools"] = json!({"pin": pin});
        server
    });
    stage.apply(&servers).await?;

    let other = Subject::server(NS, OTHER);
    let told = world
        .wait_for(other, "ToolsPinned", "False", "ToolsDrifted", LONG)
        .await?;
    ensure!(
        told.message.contains(hash) && TOOLS.iter().all(|tool| told.message.contains(tool)),
        "expected what there is instead, got {told:?}"
    );
    out_of_service(stage, OTHER).await?;

    place.ready(stage, PINNED).await?;
    world
        .wait_for(
            Subject::server(NS, PINNED),
            "ToolsPinned",
            "True",
            "Pinned",
            SOON,
        )
        .await?;
    let pinned = object(stage, PINNED).await?;
    expect(&pinned, "ModelsBound", "True", "NoModels")?;
    expect(&pinned, "Sealed", "True", "NoEgress")?;
    let mut config = place.config(PINNED, "auto");
    config["phrase"] = "pinned".into();
    // Without a model it has no socket at all.
    config["dial"] = serde_json::to_value(outside())?;
    config["stream"] = vec!["PermissionError"].into();
    let checks = ["tools", "echo", "dial", "turn"];
    place.checks(stage, &config, &checks).await?;
    let locks = object(stage, PINNED).await?["status"]["seal"]["locks"].to_string();
    ensure!(
        locks.contains("\"Kernel\""),
        "expected the whole lock, got {locks}"
    );

    // The next process of the server has another description of a tool; the first that comes begins one.
    config["era"] = "legacy".into();
    let first = place.checks(stage, &config, &["echo"]).await;
    ensure!(first.is_err(), "expected the changed tools not to be shown");
    let server = Subject::server(NS, PINNED);
    let told = world
        .wait_for(server, "ToolsPinned", "False", "ToolsDrifted", SOON)
        .await?;
    ensure!(
        told.message.contains("echo: description"),
        "expected what changed, got {told:?}"
    );
    out_of_service(stage, PINNED).await
}

/// What `kubectl sealroom pin` prints of a server: the operator's program is the plugin, which kubectl finds by name.
async fn printed(stage: &Stage, name: &str) -> Result<String> {
    let plugins = tempfile::tempdir()?;
    symlink(stage.operator(), plugins.path().join("kubectl-sealroom"))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path);
    let path = std::env::join_paths([plugins.path().to_owned()].into_iter().chain(others))?;
    let environment = &stage.world.environment;
    let kubectl = environment.kubectl(["sealroom", "pin", name, "-n", NS]);
    let ran = kubectl.env("PATH", path).run().await;
    let ran = ran.context("failed to run the plugin of kubectl")?;
    Ok(ran.stdout.trim().to_owned())
}

/// It is not ready, and its pods say why.
async fn out_of_service(stage: &Stage, name: &str) -> Result<()> {
    let server = Subject::server(NS, name);
    stage
        .world
        .wait_for(server, "Ready", "False", "ToolsDrifted", SOON)
        .await?;
    let place = stage.helper().await?;
    wait(SOON, "it refuse", async || {
        let told = place.statuses(stage, name).await?;
        let refused = |line: &String| line.starts_with("503 ") && line.contains("ToolsDrift");
        ensure!(
            told.iter().any(refused) && told.iter().all(|line| line.starts_with("503 ")),
            "expected it to refuse, got {told:?}"
        );
        Ok(Some(()))
    })
    .await
}
