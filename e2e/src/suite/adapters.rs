//! What is read beside the model, each an artifact of its own: an adapter, applied to every request by the scale that
//! the object says, and a projector.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::fixtures::{Model, capital_of_france};
use super::load::client;
use super::stage::Served;
use super::{Case, Needs, Stage};
use crate::artifact::push_bytes;
use crate::asking::PATIENCE;
use crate::gguf::adapter;
use crate::registry::Registry;

mod projector;

const NS: &str = "adapters";
const NAME: &str = "tuned";
/// What the model answers without an adapter.
const PLAIN: &str = "Paris";

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "adapters/an_adapter_changes_the_answer_by_the_objects_scale_alone",
            needs,
            run: |s| Box::pin(adapts(s)),
        },
        Case {
            name: "adapters/with_a_projector_messages_have_images",
            needs,
            run: |s| Box::pin(projector::shows(s)),
        },
    ]
}

async fn adapts(stage: &Stage) -> Result<()> {
    let registry = Registry::new(&stage.world.environment)?;
    let tone = adapter::bytes();
    let adapter = push_bytes(&registry, "adapters/tone", "tone.gguf", &tone).await?;
    let room = stage.room(NS).await?;
    let done = inside(stage, &adapter).await;
    room.leave().await?;
    done
}

async fn inside(stage: &Stage, adapter: &str) -> Result<()> {
    let world = &stage.world;
    let with = |image: &str, scale: &str| {
        let artifact = json!({"image": image, "pullSecrets": [{"name": "registry"}]});
        let tone = json!({"name": "tone", "artifact": artifact, "scale": scale});
        Model::new(NS, NAME, stage.artifact()).set("/runtime/llamaCpp/adapters", vec![tone])
    };
    client(stage, NS).await?;
    // A model in the place of an adapter: told by the plan, with the field.
    world.apply(&with(stage.artifact(), "1").yaml()).await?;
    let long = Duration::from_secs(180);
    world
        .wait_condition(NS, NAME, "Stalled", "True", "WrongKind", long)
        .await?;
    let told = world.condition(NS, NAME, "Stalled").await?;
    for part in ["runtime.llamaCpp.adapters[tone]", "it is a whole model"] {
        ensure!(told.message.contains(part), "expected {part}, got {told:?}");
    }

    world.apply(&with(adapter, "1").yaml()).await?;
    world
        .wait_condition(NS, NAME, "Ready", "True", "", long)
        .await?;
    let tuned = answer(stage).await?;
    ensure!(
        !tuned.contains(PLAIN),
        "expected another answer than {PLAIN}, got {tuned}"
    );
    listed(stage, adapter).await?;

    // Which adapters count is not the client's to say, and the engine's own route is not there.
    let question: Value = serde_json::from_str(&capital_of_france(NAME, ""))?;
    for lora in [json!([{"id": 0, "scale": 0.0}]), json!([])] {
        let mut asked = question.clone();
        asked["lora"] = lora;
        let asked = asked.to_string();
        let (status, body) = ask(stage, "/v1/chat/completions", &asked).await?;
        ensure!(
            status == 400 && body.contains("adapters_fixed"),
            "expected a refusal, got {status} {body}"
        );
    }
    let set = json!([{"id": 0, "scale": 0.0}]).to_string();
    let (status, body) = ask(stage, "/lora-adapters", &set).await?;
    ensure!(status == 404, "expected no such route, got {status} {body}");

    // The same volumes, and the model's own answer.
    let generation = generation(stage).await?;
    world.apply(&with(adapter, "0").yaml()).await?;
    let rolled = async || {
        let object = world.model(NS, NAME).await?.unwrap_or_default();
        let status = &object["status"];
        let new = status["observedGeneration"].as_i64() > Some(generation);
        Ok((new && status["updatedReplicas"] == 1 && status["replicas"] == 1).then_some(()))
    };
    crate::kube::wait(long, "the pod with the other scale", rolled).await?;
    world
        .wait_condition(NS, NAME, "Ready", "True", "", long)
        .await?;
    let off = answer(stage).await?;
    ensure!(off.contains(PLAIN), "expected {PLAIN}, got {off}");
    Ok(())
}

async fn generation(stage: &Stage) -> Result<i64> {
    let object = stage.world.model(NS, NAME).await?.unwrap_or_default();
    let generation = object["metadata"]["generation"].as_i64();
    generation.context("failed to find the generation")
}

/// The status has the adapter's digest beside the model's.
async fn listed(stage: &Stage, adapter: &str) -> Result<()> {
    let object = stage.world.model(NS, NAME).await?.unwrap_or_default();
    let status = &object["status"];
    let shown = &status["adapters"][0];
    let digest = shown["artifact"]["digest"].as_str().unwrap_or_default();
    ensure!(
        shown["name"] == "tone"
            && shown["phase"] == "Verified"
            && !digest.is_empty()
            && adapter.ends_with(digest),
        "expected tone of {adapter}, got {shown}"
    );
    let own = status["artifact"]["digest"].as_str().unwrap_or_default();
    ensure!(
        !own.is_empty() && stage.artifact().ends_with(own),
        "expected the model's digest, got {own}"
    );
    let sealed = stage.world.condition(NS, NAME, "Sealed").await?;
    ensure!(
        sealed.status == "True" && sealed.reason == "NoEgress",
        "expected it to be sealed, got {sealed:?}"
    );
    Ok(())
}

async fn answer(stage: &Stage) -> Result<String> {
    let question = capital_of_france(NAME, "");
    let (status, body) = ask(stage, "/v1/chat/completions", &question).await?;
    ensure!(status == 200, "expected an answer, got {status} {body}");
    let answer: Value = serde_json::from_str(&body)?;
    let text = answer["choices"][0]["message"]["content"].as_str();
    Ok(text.context("failed to find the answer's text")?.to_owned())
}

async fn ask(stage: &Stage, path: &str, data: &str) -> Result<(u16, String)> {
    let url = format!("{}{path}", Served::of(NS, NAME).url);
    stage
        .world
        .fetch(NS, &url, Some(data), None, PATIENCE)
        .await
}
