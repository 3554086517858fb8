//! What changes under a server whose pods stay: the key for its model, and the model, which goes and comes back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::place::{AGENT, BOUND_KEY, BRAIN, HELPER, MODEL_KEYS, NEXT, NS, Place, expect, object};
use super::seen::{completions, pods};
use crate::kube::wait;
use crate::objects::Subject;
use crate::suite::fixtures::secret;
use crate::suite::languages::CONTAINER;
use crate::suite::stage::{Served, Stage};
use crate::world::name_of;

/// As long as it may take until a changed Secret is used.
const TAKEN: Duration = Duration::from_secs(120);
/// Between two questions meanwhile.
const PAUSE: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(40);
const LONG: Duration = Duration::from_secs(180);
/// Where the gate offers the model to the server.
pub(super) const OFFERED: &str = "http://127.0.0.1:11500";

pub(super) async fn outlived(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let place = stage.helper().await?;
    let helper = Subject::server(NS, HELPER);
    let before = pods(stage, helper).await?;
    rotated(stage, place).await?;
    let gone = away(stage).await;
    // Others ask it after this.
    scale(stage, 1).await?;
    gone?;
    back(stage, place).await?;
    let after = pods(stage, helper).await?;
    ensure!(
        before.len() == 1 && before == after,
        "expected one pod as it was, {before:?}, got {after:?}"
    );
    room.silent().await
}

/// The model knows both keys. The server's Secret gets the new one: every question is answered until the model sees it, and
/// the old one is taken out then.
async fn rotated(stage: &Stage, place: &Place) -> Result<()> {
    let before = completions(stage, NEXT).await?;
    let next = secret(NS, BOUND_KEY, &json!({"key": place.next_key}));
    stage.apply(&[next]).await?;
    let config = place.config(HELPER, "auto");
    let began = Instant::now();
    loop {
        place.checks(stage, &config, &["ask"]).await?;
        if completions(stage, NEXT).await? > before {
            break;
        }
        ensure!(
            began.elapsed() < TAKEN,
            "expected the new key to be used within {} s",
            TAKEN.as_secs()
        );
        tokio::time::sleep(PAUSE).await;
    }
    let seconds = began.elapsed().as_secs();
    println!("e2e note   the new key of a bound model was used after {seconds} s");
    let remove = format!(r#"[{{"op":"remove","path":"/data/{HELPER}"}}]"#);
    let model = ["patch", "secret", "-n", NS, MODEL_KEYS];
    let patch = [&model[..], &["--type=json", "-p", &remove]].concat();
    stage.world.kubectl(&patch).await?;
    Ok(())
}

/// While the model has no pods the server's object says so, its pods serve, and what they ask of the model gets an error.
async fn away(stage: &Stage) -> Result<()> {
    scale(stage, 0).await?;
    let helper = Subject::server(NS, HELPER);
    let world = &stage.world;
    serves_unbound(
        stage,
        HELPER,
        "ModelNotReady",
        &format!("{NS}/{BRAIN}"),
        SOON,
    )
    .await?;
    let pods = world.pods_of(helper).await?;
    for pod in pods.iter().map(name_of) {
        // Its last pod may answer for a moment.
        wait(SOON, "502 for the model", async || {
            let told = status(stage, (pod, "server"), OFFERED, "none").await?;
            Ok((told == "502").then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// The model's next pod has never known the old key: what asks it has taken the new one, without having begun anew.
async fn back(stage: &Stage, place: &Place) -> Result<()> {
    let helper = Subject::server(NS, HELPER);
    let world = &stage.world;
    world
        .wait_for(helper, "ModelsBound", "True", "Bound", LONG)
        .await?;
    place.ready(stage, HELPER).await?;
    let config = place.config(HELPER, "auto");
    place.serves(stage, &config, &["ask"]).await?;
    let model = Served::of(NS, BRAIN).url;
    for (key, expected) in [(&place.bound_key, "401"), (&place.next_key, "200")] {
        let told = status(stage, (AGENT, CONTAINER), &model, key).await?;
        ensure!(
            told == expected,
            "expected {expected} of the model, got {told}"
        );
    }
    Ok(())
}

async fn scale(stage: &Stage, replicas: u8) -> Result<()> {
    let replicas = format!("--replicas={replicas}");
    let scale = ["scale", "-n", NS, "modeldeployment", BRAIN, &replicas];
    stage.world.kubectl(&scale).await?;
    Ok(())
}

/// The status that a process of a container gets for the list of models with this key.
pub(super) async fn status(
    stage: &Stage,
    (pod, container): (&str, &str),
    base: &str,
    key: &str,
) -> Result<String> {
    let script = format!(
        "import urllib.error, urllib.request\n\
         fields = {{'authorization': 'Bearer {key}'}}\n\
         request = urllib.request.Request('{base}/v1/models', headers=fields)\n\
         try:\n\
         \x20   print(urllib.request.urlopen(request, timeout=20).status)\n\
         except urllib.error.HTTPError as error:\n\
         \x20   print(error.code)\n"
    );
    let python = ["/usr/bin/python3", "-"];
    let told = stage.world.feed(NS, pod, container, &python, &script);
    Ok(told.await?.stdout.trim().to_owned())
}

/// Waits until a server's first model is away for this reason: its object names `model`, and says that the server serves on.
pub(super) async fn serves_unbound(
    stage: &Stage,
    server: &str,
    reason: &str,
    model: &str,
    patience: Duration,
) -> Result<()> {
    let subject = Subject::server(NS, server);
    let told = stage
        .world
        .wait_for(subject, "ModelsBound", "False", reason, patience)
        .await?;
    ensure!(told.message.contains(model), "expected {model} in {told:?}");
    let object = object(stage, server).await?;
    expect(&object, "Available", "True", "Serving")?;
    let model = &object["status"]["models"][0];
    ensure!(
        model["state"] == reason,
        "expected the model's state, got {model}"
    );
    Ok(())
}
