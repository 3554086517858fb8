//! Models that write no text: the route of each, and a word to whoever asks for a chat. Here is the one that makes
//! embeddings.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::fixtures::{Model, capital_of_france};
use super::stage::Served;
use super::{Case, Needs, Stage};

mod rerank;

const NS: &str = "vectors";
const NAME: &str = "vectors";
/// SmolLM2-135M's width.
const WIDTH: usize = 576;

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "modes/an_embedding_model_answers_with_vectors_and_refuses_a_chat",
            needs,
            run: |s| Box::pin(embeds(s)),
        },
        Case {
            name: "modes/a_reranker_answers_with_a_score_for_each_document_and_refuses_a_chat",
            needs,
            run: |s| Box::pin(rerank::ranks(s)),
        },
    ]
}

async fn embeds(stage: &Stage) -> Result<()> {
    // The client lives with it.
    stage.assistant().await?;
    let room = stage.room(NS).await?;
    let done = inside(stage).await;
    room.leave().await?;
    done
}

async fn inside(stage: &Stage) -> Result<()> {
    let world = &stage.world;
    let made = Model::new(NS, NAME, stage.artifact())
        .from_home()
        .set("/runtime/llamaCpp/mode", "Embedding");
    // SmolLM2's file does not say how a vector is made of its tokens: the plan tells before a pod is there.
    world.apply(&made.yaml()).await?;
    let stalled = world
        .wait_condition(
            NS,
            NAME,
            "Stalled",
            "True",
            "InvalidSpec",
            Duration::from_secs(120),
        )
        .await;
    stalled?;
    let told = world.condition(NS, NAME, "Stalled").await?;
    ensure!(
        told.message.contains("runtime.llamaCpp.pooling"),
        "expected the field to write, got {told:?}"
    );
    let mended = made.set("/runtime/llamaCpp/pooling", "Mean");
    world.apply(&mended.yaml()).await?;
    world
        .wait_condition(NS, NAME, "Ready", "True", "", Duration::from_secs(180))
        .await?;

    let model = Served::of(NS, NAME);
    vectors(stage, &model, NAME).await?;
    for (path, body) in [
        ("/v1/chat/completions", capital_of_france(NAME, "")),
        (
            "/v1/completions",
            json!({"model": NAME, "prompt": "x"}).to_string(),
        ),
        (
            "/v1/rerank",
            json!({"model": NAME, "query": "x", "documents": ["y"]}).to_string(),
        ),
    ] {
        let (status, body) = stage.ask(&model, path, Some(&body)).await?;
        ensure!(
            status == 404 && body.contains("wrong_mode") && body.contains("/v1/embeddings"),
            "expected {path} to be refused with what there is, got {status} {body}"
        );
    }
    Ok(())
}

/// The object serves a model of that name which makes vectors: texts that say the same are nearer to each other.
pub(super) async fn vectors(stage: &Stage, object: &Served, name: &str) -> Result<()> {
    let texts = ["a cat sat on the mat", "the cat sat on a mat", "tax law"];
    let asked = json!({"model": name, "input": texts}).to_string();
    let (status, body) = stage.ask(object, "/v1/embeddings", Some(&asked)).await?;
    ensure!(status == 200, "expected vectors, got {status} {body}");
    let answer: Value = serde_json::from_str(&body)?;
    let vectors: Vec<Vec<f64>> = answer["data"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| serde_json::from_value(one["embedding"].clone()))
        .collect::<Result<_, _>>()?;
    ensure!(
        vectors.len() == 3 && vectors.iter().all(|vector| vector.len() == WIDTH),
        "expected three vectors of {WIDTH}, got {}",
        vectors.len()
    );
    let [near, far] = [1, 2].map(|other| likeness(&vectors[0], &vectors[other]));
    ensure!(
        near > far,
        "expected texts that say the same to be nearer: {near} and {far}"
    );
    Ok(())
}

/// The cosine of the angle between two vectors.
fn likeness(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
