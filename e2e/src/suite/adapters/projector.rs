//! A projector, of noise: the model is shown images, and understands nothing of them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::artifact::push_bytes;
use crate::gguf::projector;
use crate::registry::Registry;
use crate::suite::fixtures::Model;
use crate::suite::load::client;
use crate::suite::stage::{Served, Stage};

const NS: &str = "projectors";
const NAME: &str = "shown";
const CHAT: &str = "/v1/chat/completions";
/// PNG files of two by two points, red and blue.
const RED: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR42mP8z8DAwMDAxMDAwMDAAAANHQEDaB7T3gAAAABJRU5ErkJggg==";
const BLUE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR42mNkYPjPwMDAxMDAwMDAAAALHwEDmlnfSQAAAABJRU5ErkJggg==";

pub(super) async fn shows(stage: &Stage) -> Result<()> {
    let registry = Registry::new(&stage.world.environment)?;
    let file = projector::bytes();
    let eyes = push_bytes(&registry, "projectors/eyes", "eyes.gguf", &file).await?;
    let room = stage.room(NS).await?;
    let done = inside(stage, &eyes).await;
    room.leave_silent(done).await
}

async fn inside(stage: &Stage, eyes: &str) -> Result<()> {
    let world = &stage.world;
    let with = |image: &str| {
        let artifact = json!({"image": image, "pullSecrets": [{"name": "registry"}]});
        let projector = json!({"artifact": artifact});
        Model::new(NS, NAME, stage.artifact()).set("/runtime/llamaCpp/projector", projector)
    };
    client(stage, NS).await?;
    // A model in the place of a projector: told by the plan, with the field.
    world.apply(&with(stage.artifact()).yaml()).await?;
    let long = Duration::from_secs(180);
    world
        .wait_condition(NS, NAME, "Stalled", "True", "WrongKind", long)
        .await?;
    let told = world.condition(NS, NAME, "Stalled").await?;
    for part in ["runtime.llamaCpp.projector", "it is a whole model"] {
        ensure!(told.message.contains(part), "expected {part}, got {told:?}");
    }

    world.apply(&with(eyes).yaml()).await?;
    world
        .wait_condition(NS, NAME, "Ready", "True", "", long)
        .await?;
    listed(stage, eyes).await?;
    let model = Served::of(NS, NAME).asked_nearby();
    images(stage, &model).await?;
    refused(stage, &model).await
}

/// An image is so many tokens, and the answer hangs on what is in it.
async fn images(stage: &Stage, model: &Served) -> Result<()> {
    let (_, without) = answer(stage, model, None).await?;
    let (red, shown) = answer(stage, model, Some(RED)).await?;
    ensure!(
        shown == without + u64::from(projector::TOKENS),
        "expected {} tokens of an image beside {without}, got {shown}",
        projector::TOKENS
    );
    let (blue, _) = answer(stage, model, Some(BLUE)).await?;
    let (again, _) = answer(stage, model, Some(RED)).await?;
    ensure!(
        red == again && red != blue,
        "expected one answer to one image, got {red:?} and {again:?}, and another one to another, got {blue:?}"
    );
    Ok(())
}

/// What the engine would fetch or read, and what is no image: the client's error, which no retry mends.
async fn refused(stage: &Stage, model: &Served) -> Result<()> {
    for url in [
        "http://172.31.9.10:9000/a.png",
        "file:///models/model.gguf",
        "/models/model.gguf",
    ] {
        let (status, body) = stage.ask(model, CHAT, Some(&question(Some(url)))).await?;
        ensure!(
            status == 400 && body.contains("remote_url"),
            "expected {url} to be refused, got {status} {body}"
        );
    }
    let broken = question(Some("data:image/png;base64,AAAA"));
    let (status, body) = stage.ask(model, CHAT, Some(&broken)).await?;
    ensure!(
        status == 400,
        "expected no such image to be read, got {status} {body}"
    );
    Ok(())
}

/// A question about an image, if there is one.
fn question(url: Option<&str>) -> String {
    let image = url.map(|url| json!({"type": "image_url", "image_url": {"url": url}}));
    let text = json!({"type": "text", "text": "Describe the picture."});
    let content: Vec<Value> = image.into_iter().chain([text]).collect();
    json!({
        "model": NAME,
        "temperature": 0,
        "seed": 7,
        "max_tokens": 24,
        "messages": [{"role": "user", "content": content}],
    })
    .to_string()
}

/// The answer, and how many tokens the question was.
async fn answer(stage: &Stage, model: &Served, url: Option<&str>) -> Result<(String, u64)> {
    let (status, body) = stage.ask(model, CHAT, Some(&question(url))).await?;
    ensure!(status == 200, "expected an answer, got {status} {body}");
    let answer: Value = serde_json::from_str(&body)?;
    let text = answer["choices"][0]["message"]["content"].as_str();
    let text = text.context("failed to find the answer's text")?.to_owned();
    let tokens = answer["usage"]["prompt_tokens"].as_u64();
    let tokens = tokens.context("failed to find the number of tokens")?;
    Ok((text, tokens))
}

/// The status has the projector's digest.
async fn listed(stage: &Stage, eyes: &str) -> Result<()> {
    let object = stage.world.model(NS, NAME).await?.unwrap_or_default();
    let shown = &object["status"]["projector"];
    let digest = shown["artifact"]["digest"].as_str().unwrap_or_default();
    ensure!(
        shown["phase"] == "Verified" && !digest.is_empty() && eyes.ends_with(digest),
        "expected {eyes}, got {shown}"
    );
    Ok(())
}
