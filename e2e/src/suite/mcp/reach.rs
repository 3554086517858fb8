//! What official clients reach, what the server reaches, and what is written down of it.

use anyhow::{Context as _, Result, ensure};
use sealroom::mcp::Inventory;
use serde_json::Value;

use super::dialled::outside;
use super::place::{
    AGENT, BRAIN, CLIENT, ERAS, HELPER, INSPECTOR, NS, Place, STRANGER, TOOLS, TYPESCRIPT, expect,
    told, url,
};
use crate::objects::Subject;
use crate::suite::fixtures::random;
use crate::suite::languages;
use crate::suite::stage::Stage;
use crate::world::name_of;

/// What each client checks in either era.
const CHECKS: [&str; 8] = [
    "who",
    "tools",
    "echo",
    "ask",
    "variables",
    "dial",
    "unknown",
    "wrong_key",
];

pub(super) async fn reaches(stage: &Stage) -> Result<()> {
    // Its server calls home from its first moment on.
    let room = stage.room(NS).await?;
    let place = stage.helper().await?;
    let helper = told(stage, HELPER).await?;
    says(&helper)?;
    edges(stage, &helper).await?;

    let phrase = random();
    for era in ERAS {
        let mut config = place.config(HELPER, era);
        config["phrase"] = phrase.clone().into();
        config["dial"] = serde_json::to_value(outside())?;
        // The network lock drops what it does not let through, Landlock refuses it.
        config["stream"] = vec!["TimeoutError", "PermissionError"].into();
        place.checks(stage, &config, &CHECKS).await?;
        languages::run(stage, (NS, AGENT), TYPESCRIPT, &config, &CHECKS).await?;
        let listed = place.shows(stage, config, "inventory").await?;
        ensure!(
            helper["status"]["tools"]["hash"] == pin(&listed)?.as_str(),
            "expected the hash of what the client lists, got {}",
            helper["status"]["tools"]
        );
    }
    let stranger = (NS, STRANGER);
    let mut config = place.config(HELPER, "auto");
    languages::run(stage, stranger, CLIENT, &config, &["unreachable"]).await?;
    config["phrase"] = phrase.clone().into();
    let checks = ["listed", "called"];
    languages::run(stage, (NS, AGENT), INSPECTOR, &config, &checks).await?;
    written(stage, place, &phrase).await?;
    room.silent().await
}

/// Conditions and what the server is, as the status tells them.
fn says(helper: &Value) -> Result<()> {
    for (kind, status, reason) in [
        ("Ready", "True", "Succeeded"),
        ("ModelsBound", "True", "Bound"),
        ("ToolsPinned", "Unknown", "NotPinned"),
        ("Sealed", "True", "DeclaredEgressOnly"),
        ("Available", "True", "Serving"),
    ] {
        expect(helper, kind, status, reason)?;
    }
    let status = &helper["status"];
    let info = &status["serverInfo"];
    ensure!(
        status["url"] == url(HELPER).as_str()
            && info["name"] == HELPER
            && info["version"] == "1.2.3"
            && info["protocolVersion"] == "2026-07-28"
            && status["tools"]["count"] == TOOLS.len(),
        "expected the server and where it is, got {status}"
    );
    let locks = status["seal"]["locks"].to_string();
    ensure!(
        locks.contains("\"NetworkPolicy\"") && locks.contains("\"KernelStream\""),
        "expected the network's lock and the kernel's, got {locks}"
    );
    Ok(())
}

/// The edge between the two stands in both statuses.
async fn edges(stage: &Stage, helper: &Value) -> Result<()> {
    let out = helper["status"]["seal"]["exits"].to_string();
    let to = format!("out 8080/TCP to the pods of ModelDeployment {NS}/{BRAIN}");
    ensure!(out.contains(&to), "expected {to:?} in {out}");
    let brain = stage.world.object(Subject::model(NS, BRAIN)).await?;
    let brain = brain.context("failed to find the model")?;
    let ways = brain["status"]["seal"]["exits"].to_string();
    let from = format!("McpServer {HELPER}");
    ensure!(ways.contains(&from), "expected {from:?} in {ways}");
    Ok(())
}

/// The hash of what a client lists.
fn pin(listed: &str) -> Result<String> {
    let answer: Value = serde_json::from_str(listed)?;
    let mut inventory = Inventory::default();
    inventory
        .add(&answer["tools"].to_string())
        .map_err(|why| anyhow::anyhow!("failed to read the tools: {why}"))?;
    Ok(inventory.hash().to_string())
}

/// The audit has who called which tool, and no log of either pod has what was said.
async fn written(stage: &Stage, place: &Place, phrase: &str) -> Result<()> {
    let world = &stage.world;
    let mut audited = vec![];
    for subject in [Subject::server(NS, HELPER), Subject::model(NS, BRAIN)] {
        for pod in world.pods_of(subject).await? {
            let logs = ["logs", "-n", NS, name_of(&pod), "--all-containers"];
            let log = world.kubectl(&logs).await?.stdout;
            ensure!(
                log.contains("\"kind\":\"audit\""),
                "expected the audit of {}",
                name_of(&pod)
            );
            for secret in [phrase, &place.server_key, &place.bound_key] {
                ensure!(
                    !log.contains(secret),
                    "expected nothing of a call in the logs of {}",
                    name_of(&pod)
                );
            }
            audited.extend(log.lines().filter_map(|line| line.parse::<Value>().ok()));
        }
    }
    let calls = |tool: &str, protocol: &str| {
        let called = |line: &&Value| {
            line["rpc"] == "tools/call"
                && line["tool"] == tool
                && line["protocol"] == protocol
                && line["key"] == AGENT
                && line["outcome"] == "ok"
        };
        audited.iter().filter(called).count()
    };
    for protocol in ["2025-11-25", "2026-07-28"] {
        for tool in ["echo", "ask", "dial"] {
            ensure!(
                calls(tool, protocol) > 0,
                "expected calls of {tool} under {protocol} in the audit"
            );
        }
    }
    // And the model's own audit has the server, by the key that is bound.
    let asked = |line: &&Value| line["model"] == BRAIN && line["key"] == HELPER;
    ensure!(
        audited.iter().filter(asked).count() >= ERAS.len(),
        "expected the server's questions in the model's audit"
    );
    Ok(())
}
