//! A server that turns on its bridge, which is PID 1 of its container, and on the gate beside it.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::place::{AGENT, HELPER, NS, Place};
use super::seen::{audit, pods, written};
use crate::objects::Subject;
use crate::suite::fixtures::random;
use crate::suite::stage::Stage;
use crate::world::name_of;

/// What comes of each try of `e2e/mcp/attack.py`. A signal that the kernel drops is sent without an error; what it writes
/// to its own output is for the gate, which takes it for no message.
const TRIES: [(&str, &str); 13] = [
    ("kill", "made"),
    ("stop", "made"),
    ("trace", "EACCES"),
    ("read its memory", "EACCES"),
    ("write its memory", "EACCES"),
    ("copy its memory", "EPERM"),
    ("read its variables", "EACCES"),
    ("list its root", "EACCES"),
    ("print to its output", "EACCES"),
    ("print to its errors", "EACCES"),
    ("print to its own output", "made"),
    ("print to its own errors", "made"),
    ("speak on the lease", "heard 0"),
];
/// The gate's ports, which Landlock shuts where the kernel has it.
const PORTS: [&str; 2] = ["connect to 8080", "connect to 8081"];

/// The pod goes on as it was, nothing of value was to be read, and the logs have no line of the server's making.
pub(super) async fn gains_nothing(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let place = stage.helper().await?;
    let helper = Subject::server(NS, HELPER);
    let before = pods(stage, helper).await?;
    let locks = locks_told(stage).await?;
    let mark = random();
    let mut config = place.config(HELPER, "auto");
    config["mark"] = mark.as_str().into();
    config["phrase"] = "after".into();
    let told = place.shows(stage, config.clone(), "attack").await?;
    got_nothing(place, &told, &locks)?;

    // The same process of the server, since the client has no session, asks its model as before.
    place.checks(stage, &config, &["echo", "ask"]).await?;
    let after = pods(stage, helper).await?;
    ensure!(
        before.len() == 1 && before == after,
        "expected one pod as it was, {before:?}, got {after:?}"
    );
    let now = locks_told(stage).await?;
    ensure!(
        now == locks,
        "expected the bridge's locks, {locks}, got {now}"
    );
    let called = audit(stage, helper).await?;
    let called = called
        .iter()
        .filter(|line| line["tool"] == "attack" && line["key"] == AGENT && line["outcome"] == "ok");
    ensure!(
        called.count() > 0,
        "expected the attack's call in the audit"
    );
    let logs = written(stage, helper, "--all-containers").await?;
    ensure!(
        !logs.contains(&mark),
        "expected no line of the server's making in the logs"
    );
    room.silent().await
}

/// How each try went, and what could be read: the server's own, and no key.
fn got_nothing(place: &Place, told: &str, locks: &Value) -> Result<()> {
    let report: Value = serde_json::from_str(told).context("failed to read the report")?;
    let shut = locks.to_string().contains("LandlockPorts");
    let ports = PORTS.map(|port| (port, if shut { "EACCES" } else { "made" }));
    for (what, expected) in TRIES.into_iter().chain(ports) {
        let got = &report["tries"][what];
        ensure!(*got == expected, "expected {expected} of {what}, got {got}");
    }
    // What it has it reads, so that a key would have been seen: its variables, and how its bridge was started.
    for own in ["OPENAI_API_KEY=added-by-the-gate", "/opt/sealroom/sealroom"] {
        ensure!(told.contains(own), "expected {own} to be read, got {told}");
    }
    for key in [
        &place.model_key,
        &place.bound_key,
        &place.next_key,
        &place.server_key,
    ] {
        ensure!(!told.contains(key), "expected no key to be read");
    }
    Ok(())
}

/// Which locks the gate was told of.
async fn locks_told(stage: &Stage) -> Result<Value> {
    let pods = stage.world.pods_of(Subject::server(NS, HELPER)).await?;
    let pod = pods.first().map(name_of).context("failed to find a pod")?;
    let mut told = stage.world.pod_json(NS, pod, 8081, "/sealz").await?;
    Ok(told["locks"].take())
}
