//! A reranker: a score for each document, of a model of noise, since no package carries a small one.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::artifact::push_bytes;
use crate::gguf::reranker;
use crate::registry::Registry;
use crate::suite::fixtures::{Model, capital_of_france};
use crate::suite::stage::{Served, Stage};
use crate::world::name_of;

const NS: &str = "ranks";
const NAME: &str = "ranks";
const RERANK: &str = "/v1/rerank";

const DOCUMENTS: [&str; 4] = [
    "a cat sat on the mat",
    "tax law of the land",
    "a cat sat on the mat",
    "a cat sat on the mut",
];
/// Scores of texts that differ are at least so far from each other, which no processor's rounding is.
const APART: f64 = 0.001;

/// What Jina's and Cohere's clients read.
#[derive(Debug, Deserialize)]
struct Answer {
    model: String,
    object: String,
    usage: Usage,
    results: Vec<Ranked>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

#[derive(Debug, Deserialize)]
struct Ranked {
    index: usize,
    relevance_score: f64,
}

pub(super) async fn ranks(stage: &Stage) -> Result<()> {
    // The client lives with it.
    stage.assistant().await?;
    let registry = Registry::new(&stage.world.environment)?;
    let file = reranker::bytes();
    let artifact = push_bytes(&registry, "models/ranks", "ranks.gguf", &file).await?;
    let room = stage.room(NS).await?;
    let done = inside(stage, &artifact).await;
    room.leave().await?;
    done
}

async fn inside(stage: &Stage, artifact: &str) -> Result<()> {
    let world = &stage.world;
    let made = Model::new(NS, NAME, artifact)
        .from_home()
        .set("/runtime/llamaCpp/contextLength", reranker::CONTEXT);
    // The file says that it ranks: the plan tells before a pod is there.
    world.apply(&made.yaml()).await?;
    let long = Duration::from_secs(120);
    world
        .wait_condition(NS, NAME, "Stalled", "True", "InvalidSpec", long)
        .await?;
    let told = world.condition(NS, NAME, "Stalled").await?;
    ensure!(
        told.message.contains("llamaCpp.mode: Rerank"),
        "expected the field to write, got {told:?}"
    );
    let mended = made.set("/runtime/llamaCpp/mode", "Rerank");
    world.apply(&mended.yaml()).await?;
    world
        .wait_condition(NS, NAME, "Ready", "True", "", Duration::from_secs(180))
        .await?;

    let model = Served::of(NS, NAME);
    scored(stage, &model).await?;
    counted(stage).await?;
    refused(stage, &model).await
}

/// Texts that are the same have the same score, and no others.
async fn scored(stage: &Stage, model: &Served) -> Result<()> {
    let cat = scores(stage, model, "where is the cat?").await?;
    ensure!(
        cat[0].total_cmp(&cat[2]).is_eq(),
        "expected one score for one text, got {cat:?}"
    );
    let apart = |one: f64, other: f64| (one - other).abs() >= APART;
    ensure!(
        apart(cat[0], cat[1]) && apart(cat[0], cat[3]) && apart(cat[1], cat[3]),
        "expected other scores for other texts, got {cat:?}"
    );
    let law = scores(stage, model, "who wrote the law?").await?;
    ensure!(
        cat.iter().zip(&law).all(|(cat, law)| apart(*cat, *law)),
        "expected other scores for another query, got {cat:?} and {law:?}"
    );
    let asked = json!({"model": NAME, "query": "x", "documents": DOCUMENTS, "top_n": 2});
    let best = ranking(stage, model, &asked.to_string()).await?;
    ensure!(
        best.results.len() == 2,
        "expected the best two, got {best:?}"
    );
    Ok(())
}

/// The score of each document, in the order in which they are sent.
async fn scores(stage: &Stage, model: &Served, query: &str) -> Result<Vec<f64>> {
    let asked = json!({"model": NAME, "query": query, "documents": DOCUMENTS});
    let mut ranked = ranking(stage, model, &asked.to_string()).await?.results;
    ranked.sort_by_key(|one| one.index);
    ensure!(
        (ranked.iter().map(|one| one.index)).eq(0..DOCUMENTS.len()),
        "expected one score for each document, got {ranked:?}"
    );
    Ok(ranked.iter().map(|one| one.relevance_score).collect())
}

/// An answer, the best document first.
async fn ranking(stage: &Stage, model: &Served, asked: &str) -> Result<Answer> {
    let (status, body) = stage.ask(model, RERANK, Some(asked)).await?;
    ensure!(status == 200, "expected a ranking, got {status} {body}");
    let answer: Answer = serde_json::from_str(&body)
        .with_context(|| format!("failed to read a ranking from {body}"))?;
    let Usage {
        prompt_tokens: read,
        total_tokens: all,
    } = answer.usage;
    let falling = |a: &Ranked, b: &Ranked| a.relevance_score >= b.relevance_score;
    ensure!(
        answer.model == NAME
            && answer.object == "list"
            && read > 0
            && all == read
            && answer.results.is_sorted_by(falling),
        "expected a ranking of {NAME}, the best first, got {answer:?}"
    );
    Ok(answer)
}

/// The gate has read the tokens of these answers, and counts them as what they are.
async fn counted(stage: &Stage) -> Result<()> {
    let pods = stage.world.pods(NS, NAME).await?;
    let pod = pods.first().map(name_of).context("failed to find a pod")?;
    let metrics = stage.world.pod_text(NS, pod, 8082, "/metrics").await?;
    let counts = |line: &&str| {
        line.starts_with("gen_ai_client_token_usage_sum")
            && line.contains(r#"gen_ai_operation_name="rerank""#)
    };
    let lines: Vec<_> = metrics.lines().filter(counts).collect();
    ensure!(
        matches!(lines[..], [line] if line.contains(r#"gen_ai_token_type="input""#)),
        "expected the tokens of rankings, got {lines:?}"
    );
    Ok(())
}

/// What it does not do, and a document that it cannot see as a whole.
async fn refused(stage: &Stage, model: &Served) -> Result<()> {
    for (path, body) in [
        ("/v1/chat/completions", capital_of_france(NAME, "")),
        (
            "/v1/completions",
            json!({"model": NAME, "prompt": "x"}).to_string(),
        ),
        (
            "/v1/embeddings",
            json!({"model": NAME, "input": "x"}).to_string(),
        ),
    ] {
        let (status, body) = stage.ask(model, path, Some(&body)).await?;
        ensure!(
            status == 404 && body.contains("wrong_mode") && body.contains(RERANK),
            "expected {path} to be refused with what there is, got {status} {body}"
        );
    }
    let long = "x ".repeat(reranker::CONTEXT as usize);
    let asked = json!({"model": NAME, "query": "x", "documents": ["y", long]});
    let (status, body) = stage.ask(model, RERANK, Some(&asked.to_string())).await?;
    ensure!(
        status == 400 && body.contains("input_too_long"),
        "expected a document to be too long, got {status} {body}"
    );
    Ok(())
}
