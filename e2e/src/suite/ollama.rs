//! The second engine: the same object, URL, model and answers, and what is different about its lock.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::fixtures::{Model, capital_of_france, tool_pod};
use super::{Case, Needs, PROGRAM, Stage};
use crate::asking::PATIENCE;
use crate::dial::Attempt;
use crate::kube::wait;

const NS: &str = "second-engine";
const NAME: &str = "second";

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "ollama/the_second_engine_serves_behind_the_same_gate",
        needs: Needs::BothLocks,
        run: |s| Box::pin(serves(s)),
    }]
}

/// What Ollama's own API offers to whoever reaches its port: pulls, pushes, other models, and prompts past the gate.
const NOT_THERE: [&str; 16] = [
    "/",
    "/api/pull",
    "/api/push",
    "/api/create",
    "/api/copy",
    "/api/delete",
    "/api/blobs/sha256:0",
    "/api/tags",
    "/api/show",
    "/api/ps",
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/v1/responses",
    "/v1/messages",
    "/v1/models/second",
];

/// Where whoever was let in may ask.
const API: u16 = 8080;
/// The pod's other ports: the engine's own, the gate's for the operator, and the one for metrics.
const OTHERS: [u16; 3] = [11434, 8081, 8082];

async fn serves(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let done = inside(stage).await;
    room.leave_silent(done).await
}

async fn inside(stage: &Stage) -> Result<()> {
    let world = &stage.world;
    let client = tool_pod(
        NS,
        "client",
        &stage.images.tool,
        "client",
        &["tool", "idle"],
    );
    world.apply(&client).await?;
    let model = Model::new(NS, NAME, stage.artifact()).ollama();
    world.apply(&model.yaml()).await?;
    let long = Duration::from_secs(180);
    world
        .wait_condition(NS, NAME, "Ready", "True", "", long)
        .await?;
    world.pods_ready(NS, &["client"]).await?;

    answers(stage).await?;
    for path in NOT_THERE {
        for body in [None, Some(r#"{"model":"second"}"#)] {
            let (status, text) = ask(stage, path, body).await?;
            ensure!(
                status == 404,
                "expected 404 for {path}, got {status} {text}"
            );
        }
    }
    deletes_nothing(stage).await?;
    past_the_gate(stage).await?;
    locks(stage).await?;
    let sealed = world.condition(NS, NAME, "Sealed").await?;
    ensure!(
        sealed.status == "True" && sealed.reason == "NoEgress",
        "expected it to be sealed, got {sealed:?}"
    );
    Ok(())
}

async fn answers(stage: &Stage) -> Result<()> {
    let chat = "/v1/chat/completions";
    let question = capital_of_france(NAME, "");
    let (status, body) = ask(stage, chat, Some(&question)).await?;
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    ensure!(
        status == 200 && body.contains("Paris") && answer["model"] == NAME,
        "expected Paris of {NAME}, got {status} {body}"
    );
    let (status, body) = ask(stage, "/v1/models", None).await?;
    ensure!(
        status == 200 && body.contains("\"second\""),
        "expected the served name, got {status} {body}"
    );
    let streamed = question.replacen('{', "{\"stream\":true,", 1);
    let (status, body) = ask(stage, chat, Some(&streamed)).await?;
    let pieces = body.lines().filter(|line| line.starts_with("data: "));
    ensure!(
        status == 200 && pieces.count() > 3 && body.contains("data: [DONE]"),
        "expected a stream with its end, got {status} {body}"
    );
    // Whoever names no model means the one that there is, as with the other engine.
    let unnamed = r#"{"max_tokens":4,"messages":[{"role":"user","content":"Hello"}]}"#;
    let (status, body) = ask(stage, chat, Some(unnamed)).await?;
    ensure!(status == 200, "expected an answer, got {status} {body}");
    let another = r#"{"model":"another","messages":[]}"#;
    let (status, body) = ask(stage, chat, Some(another)).await?;
    ensure!(
        status == 404 && body.contains("model_not_found"),
        "expected no such model, got {status} {body}"
    );
    Ok(())
}

/// Nor by the method that the engine has for it.
async fn deletes_nothing(stage: &Stage) -> Result<()> {
    let url = format!("{}/api/delete", base());
    let fetch = [
        PROGRAM,
        "tool",
        "fetch",
        "--exit-zero",
        "--method",
        "DELETE",
        "--data",
        r#"{"model":"second"}"#,
        &url,
    ];
    let told = stage.world.exec(NS, "client", "tool", &fetch).await?.stdout;
    ensure!(told.starts_with("404 "), "expected 404, got {told}");
    Ok(())
}

/// At the pod's own addresses there is one port for a client: the gate's.
async fn past_the_gate(stage: &Stage) -> Result<()> {
    let pods = stage.world.pods(NS, NAME).await?;
    let pod = pods.first().context("failed to find a pod")?;
    let addresses: Vec<IpAddr> = pod["status"]["podIPs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|address| address["ip"].as_str()?.parse().ok())
        .collect();
    let to: Vec<String> = addresses
        .iter()
        .flat_map(|ip| [API].into_iter().chain(OTHERS).map(move |port| (*ip, port)))
        .map(|to| SocketAddr::from(to).to_string())
        .collect();
    ensure!(!to.is_empty(), "expected an address of the pod");
    // Whoever speaks HTTP answers, so that a connection is told from silence.
    let text = "GET / HTTP/1.0\r\n\r\n";
    let mut dial = vec![PROGRAM, "dial", "--protocol", "tcp", "--text", text];
    dial.extend(["--patience", "5000"]);
    dial.extend(to.iter().flat_map(|to| ["--to", to.as_str()]));
    let told = stage.world.exec(NS, "client", "tool", &dial).await?.stdout;
    let attempts: Vec<Attempt> = told
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(
        attempts.len() == to.len(),
        "expected {} attempts, got {told}",
        to.len()
    );
    for attempt in attempts {
        ensure!(
            attempt.reached == (attempt.to.port() == API),
            "expected a connection to {API} alone, got {attempt:?}"
        );
    }
    Ok(())
}

/// The status claims the smaller lock, and never the whole one.
async fn locks(stage: &Stage) -> Result<()> {
    let shown = wait(Duration::from_secs(60), "the locks", async || {
        let object = stage.world.model(NS, NAME).await?.unwrap_or_default();
        let locks = object["status"]["seal"]["locks"].to_string();
        Ok(locks.contains("KernelStream").then_some(locks))
    });
    let shown = shown.await?;
    ensure!(
        shown.contains("\"NetworkPolicy\"") && !shown.contains("\"Kernel\""),
        "expected the smaller lock and the network's, got {shown}"
    );
    Ok(())
}

fn base() -> String {
    format!("http://{NAME}.{NS}.svc.cluster.local:{API}")
}

async fn ask(stage: &Stage, path: &str, data: Option<&str>) -> Result<(u16, String)> {
    let url = base() + path;
    stage.world.fetch(NS, &url, data, None, PATIENCE).await
}
