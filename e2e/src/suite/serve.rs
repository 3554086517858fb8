//! What an application sees.

use anyhow::{Result, ensure};

use super::fixtures::{capital_of_france, tool_pod};
use super::sockets::{API, gate_alone, reached};
use super::stage::Served;
use super::stranger::no_connection;
use super::{Case, Needs, Stage};

mod probes;

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "serve/a_client_that_was_let_in_gets_the_answer",
            needs,
            run: |s| Box::pin(answers(s)),
        },
        Case {
            name: "serve/a_stream_arrives_in_pieces",
            needs,
            run: |s| Box::pin(streams(s)),
        },
        Case {
            name: "serve/the_runtimes_counters_move",
            needs,
            run: |s| Box::pin(counters(s)),
        },
        Case {
            name: "serve/other_routes_are_not_there",
            needs,
            run: |s| Box::pin(routes(s)),
        },
        Case {
            name: "serve/nobody_but_the_gate_reaches_the_engine",
            needs,
            run: |s| Box::pin(engine(s)),
        },
        Case {
            name: "serve/a_stranger_gets_nothing",
            needs,
            run: |s| Box::pin(stranger(s)),
        },
        Case {
            name: "serve/every_probe_is_blocked_and_its_control_answers",
            needs,
            run: |s| Box::pin(probes::blocked(s)),
        },
        Case {
            name: "serve/the_status_says_what_is_not_evaluated",
            needs,
            run: |s| Box::pin(not_evaluated(s)),
        },
    ]
}

async fn answers(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let (status, body) = stage
        .ask(
            &model,
            "/v1/chat/completions",
            Some(&capital_of_france("assistant", "")),
        )
        .await?;
    ensure!(
        status == 200 && body.contains("Paris"),
        "expected Paris, got {status} {body}"
    );
    let (status, body) = stage.ask(&model, "/v1/models", None).await?;
    ensure!(
        status == 200 && body.contains("\"assistant\""),
        "expected the served name, got {status} {body}"
    );
    Ok(())
}

async fn streams(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let body = capital_of_france("assistant", "").replacen('{', "{\"stream\":true,", 1);
    let (status, body) = stage
        .ask(&model, "/v1/chat/completions", Some(&body))
        .await?;
    let pieces = body
        .lines()
        .filter(|line| line.starts_with("data: "))
        .count();
    ensure!(
        status == 200 && pieces > 3,
        "expected several pieces, got {status} with {pieces}: {body}"
    );
    ensure!(
        body.contains("data: [DONE]"),
        "expected the end of the stream in {body}"
    );
    Ok(())
}

async fn counters(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let before = stage.generated_tokens(&model).await?;
    let nonce = format!(" {:016x}", rand::random::<u64>());
    let (status, _) = stage
        .ask(
            &model,
            "/v1/chat/completions",
            Some(&capital_of_france("assistant", &nonce)),
        )
        .await?;
    let after = stage.generated_tokens(&model).await?;
    ensure!(
        status == 200 && after > before,
        "expected more than {before} tokens, got {status} and {after}"
    );
    Ok(())
}

async fn routes(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    for path in [
        "/",
        "/slots",
        "/props",
        "/metrics",
        "/completion",
        "/v1//models",
        "/v1/models/",
        "/v1/%6dodels",
        "/health",
    ] {
        let (status, body) = stage.ask(&model, path, None).await?;
        ensure!(
            status == 404,
            "expected 404 for {path}, got {status} {body}"
        );
    }
    Ok(())
}

/// Two pods of its namespace, one of which was let in, find one port or none. What listens in the pod, whoever may come,
/// and who has the engine's socket is seen where the nodes' processes are of this machine.
async fn engine(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let pod = |name| (model.namespace.as_str(), name);
    let client = reached(stage, &model, pod("client"), &[API], &[]);
    let stranger = reached(stage, &model, pod("stranger"), &[], &[]);
    let (client, stranger) = tokio::join!(client, stranger);
    client.and(stranger)?;
    if stage.cluster().cgroup().is_ok() {
        gate_alone(stage, &model).await?;
    }
    Ok(())
}

/// A namespace that nobody let in.
const ELSEWHERE: &str = "elsewhere";

/// Neither a pod of the model's namespace with another label nor one elsewhere that wears the client's.
async fn stranger(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    no_connection(stage, &model, &model.namespace, "stranger").await?;
    let room = stage.room(ELSEWHERE).await?;
    let done = impostor(stage, &model).await;
    // Others of the group ask from outside, so that packets cannot be counted here.
    room.leave().await?;
    done
}

async fn impostor(stage: &Stage, model: &Served) -> Result<()> {
    let tool = &stage.images.tool;
    let pod = tool_pod(ELSEWHERE, "client", tool, "client", &["tool", "idle"]);
    stage.world.apply(&pod).await?;
    stage.world.pods_ready(ELSEWHERE, &["client"]).await?;
    no_connection(stage, model, ELSEWHERE, "client").await
}

/// The cluster's CNI has kinds of policy of its own.
async fn not_evaluated(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let status = stage.object(&model).await?["status"].take();
    let told = status["seal"]["notEvaluated"].to_string();
    ensure!(
        told.contains("ciliumnetworkpolicies.cilium.io"),
        "expected the CNI's own kinds in {told}"
    );
    Ok(())
}
