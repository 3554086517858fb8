//! What an application sees.

use anyhow::{Result, ensure};

use super::fixtures::capital_of_france;
use super::{Case, Needs, PROGRAM, Stage};

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
            name: "serve/a_stranger_gets_nothing",
            needs,
            run: |s| Box::pin(stranger(s)),
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

async fn stranger(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let url = format!("{}/v1/models", model.url);
    let answered = stage
        .world
        .exec(
            &model.namespace,
            "stranger",
            "tool",
            &[PROGRAM, "tool", "fetch", "--timeout-seconds", "3", &url],
        )
        .await;
    ensure!(answered.is_err(), "expected no answer, got {answered:?}");
    Ok(())
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
