//! The second engine: the same object, URL, model and answers, and what is different about its lock.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::fixtures::{Model, capital_of_france};
use super::load::client;
use super::sockets::{API, reached};
use super::stage::Served;
use super::{Case, Needs, PROGRAM, Stage};
use crate::kube::wait;

mod life;
pub(super) mod memory;

const NS: &str = "second-engine";
const NAME: &str = "second";
const CHAT: &str = "/v1/chat/completions";

/// In this order: what the first makes the others use, and the last takes it away.
pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "ollama/the_second_engine_serves_behind_the_same_gate",
            needs,
            run: |s| Box::pin(serves(s)),
        },
        Case {
            name: "ollama/a_hole_shuts_it_and_it_comes_back",
            needs,
            run: |s| Box::pin(life::shuts(s)),
        },
        Case {
            name: "ollama/a_rollout_drops_no_request",
            needs,
            run: |s| Box::pin(life::rolls(s)),
        },
    ]
}

/// What Ollama's own API offers to whoever reaches its port: pulls, pushes, other models, and prompts past the gate.
const NOT_THERE: [&str; 15] = [
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
];

/// The engine's own port.
const ENGINE: u16 = 11434;
/// How many tokens the engine computes at once, unless the object says another number.
const BATCH: u64 = 512;

/// The model and its client, once both are there: whoever comes first makes them. It drains for longer than a stream
/// takes on a busy machine.
async fn made(stage: &Stage) -> Result<Model> {
    let model = Model::new(NS, NAME, stage.artifact())
        .ollama()
        .set("/drainSeconds", 90);
    stage.world.apply(&model.yaml()).await?;
    client(stage, NS).await?;
    let long = Duration::from_secs(180);
    stage
        .world
        .wait_condition(NS, NAME, "Ready", "True", "", long)
        .await?;
    Ok(model)
}

async fn serves(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    made(stage).await?;
    answers(stage).await?;
    computes_a_batch(stage).await?;
    memory::below_its_limit(stage, &served(), "ollama").await?;
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
    reached(stage, &served(), (NS, "client"), &[API], &[ENGINE]).await?;
    locks(stage).await?;
    let sealed = stage.world.condition(NS, NAME, "Sealed").await?;
    ensure!(
        sealed.status == "True" && sealed.reason == "NoEgress",
        "expected it to be sealed, got {sealed:?}"
    );
    room.silent().await
}

async fn paris(stage: &Stage) -> Result<()> {
    let question = capital_of_france(NAME, "");
    let (status, body) = ask(stage, CHAT, Some(&question)).await?;
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    ensure!(
        status == 200 && body.contains("Paris") && answer["model"] == NAME,
        "expected Paris of {NAME}, got {status} {body}"
    );
    Ok(())
}

async fn answers(stage: &Stage) -> Result<()> {
    paris(stage).await?;
    for path in ["/v1/models", "/v1/models/second"] {
        let (status, body) = ask(stage, path, None).await?;
        ensure!(
            status == 200 && body.contains("\"second\""),
            "expected the served name from {path}, got {status} {body}"
        );
    }
    let streamed = capital_of_france(NAME, "").replacen('{', "{\"stream\":true,", 1);
    counted(stage, CHAT, &streamed).await?;
    let streamed = json!({
        "model": NAME, "stream": true, "max_tokens": 8, "prompt": "What is the capital of France?",
    });
    counted(stage, "/v1/completions", &streamed.to_string()).await?;
    // Whoever names no model means the one that there is, as with the other engine.
    let unnamed = r#"{"max_tokens":4,"messages":[{"role":"user","content":"Hello"}]}"#;
    let (status, body) = ask(stage, CHAT, Some(unnamed)).await?;
    ensure!(status == 200, "expected an answer, got {status} {body}");
    let another = r#"{"model":"another","messages":[]}"#;
    let (status, body) = ask(stage, CHAT, Some(another)).await?;
    ensure!(
        status == 404 && body.contains("model_not_found"),
        "expected no such model, got {status} {body}"
    );
    Ok(())
}

/// A stream's tokens are in the audit, and none in the stream: its client did not ask for them.
async fn counted(stage: &Stage, path: &str, streamed: &str) -> Result<()> {
    let (status, body) = ask(stage, path, Some(streamed)).await?;
    let pieces = body.lines().filter(|line| line.starts_with("data: "));
    ensure!(
        status == 200 && pieces.count() > 3 && body.contains("data: [DONE]"),
        "expected a stream with its end, got {status} {body}"
    );
    let asked_for = ["\"usage\"", "\"choices\":[]"];
    ensure!(
        !asked_for.iter().any(|part| body.contains(part)),
        "expected no tokens in the stream, got {body}"
    );
    let target = format!("deployment/{NAME}");
    let logs = ["logs", "-n", NS, &target, "-c", "gate"];
    // Its length tells it from the others.
    let of_it = |line: &Value| line["route"] == path && line["bytesIn"] == streamed.len();
    let line = wait(Duration::from_secs(30), "the audit line", async || {
        let log = stage.world.kubectl(&logs).await?.stdout;
        let mut lines = log.lines().filter_map(|line| line.parse::<Value>().ok());
        Ok(lines.rfind(of_it))
    });
    let line = line.await?;
    let tokens = ["promptTokens", "completionTokens"].map(|member| line[member].as_u64());
    ensure!(
        tokens.iter().all(|tokens| *tokens > Some(0)),
        "expected the stream's tokens, got {line}"
    );
    Ok(())
}

/// A prompt that takes the engine's whole batch, so that its buffers are not only reserved.
async fn computes_a_batch(stage: &Stage) -> Result<()> {
    let prompt = "the ".repeat(520);
    let body = json!({
        "model": NAME, "max_tokens": 1, "messages": [{"role": "user", "content": prompt}],
    });
    let (status, body) = ask(stage, CHAT, Some(&body.to_string())).await?;
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    let tokens = answer["usage"]["prompt_tokens"].as_u64().unwrap_or(0);
    ensure!(
        status == 200 && tokens > BATCH,
        "expected an answer to more than {BATCH} tokens, got {status} {body}"
    );
    Ok(())
}

/// Nor by the method that the engine has for it.
async fn deletes_nothing(stage: &Stage) -> Result<()> {
    let url = format!("{}/api/delete", served().url);
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

fn served() -> Served {
    Served::of(NS, NAME).asked_nearby()
}

async fn ask(stage: &Stage, path: &str, data: Option<&str>) -> Result<(u16, String)> {
    stage.ask(&served(), path, data).await
}
