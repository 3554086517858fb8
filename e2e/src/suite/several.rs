//! Two models in one object of Ollama: one address, chosen by name, one loaded at a time.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::fixtures::{Model, capital_of_france, tool_pod};
use super::{Case, Needs, Stage};
use crate::artifact::{model, push_twin};
use crate::asking::PATIENCE;
use crate::cluster::cache;
use crate::registry::Registry;
use crate::world::name_of;

const NS: &str = "several";
const NAME: &str = "house";
const NAMES: [&str; 2] = ["chat", "lab/twin:135m"];

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "several/two_models_behind_one_address_are_chosen_by_name",
        needs: Needs::BothLocks,
        run: |s| Box::pin(serves(s)),
    }]
}

async fn serves(stage: &Stage) -> Result<()> {
    let registry = Registry::new(&stage.world.environment)?;
    let twin = push_twin(&registry, &model(&cache()).await?).await?;
    let room = stage.room(NS).await?;
    let done = inside(stage, &twin).await;
    let packets = room.packets().await?;
    room.leave().await?;
    done?;
    ensure!(packets == 0, "expected no packet outside, {packets} came");
    Ok(())
}

async fn inside(stage: &Stage, twin: &str) -> Result<()> {
    let world = &stage.world;
    let client = tool_pod(
        NS,
        "client",
        &stage.images.tool,
        "client",
        &["tool", "idle"],
    );
    world.apply(&client).await?;
    let images = [stage.artifact(), twin];
    let models = NAMES.iter().zip(images).map(|(name, image)| {
        json!({"name": name, "artifact": {"image": image, "pullSecrets": [{"name": "registry"}]}})
    });
    let made = Model::new(NS, NAME, stage.artifact())
        .ollama()
        .set("/models", models.collect::<Vec<Value>>())
        .unset("artifact");
    world.apply(&made.yaml()).await?;
    let long = Duration::from_secs(240);
    world
        .wait_condition(NS, NAME, "Ready", "True", "", long)
        .await?;
    world.pods_ready(NS, &["client"]).await?;

    answers(stage).await?;
    audited(stage, images).await?;
    let object = world.model(NS, NAME).await?.unwrap_or_default();
    let listed = object["status"]["models"].as_array().cloned();
    let listed = listed.context("failed to find status.models")?;
    for ((shown, name), image) in listed.iter().zip(NAMES).zip(images) {
        let digest = shown["artifact"]["digest"].as_str().unwrap_or_default();
        ensure!(
            shown["name"] == name && shown["phase"] == "Verified" && image.ends_with(digest),
            "expected {name} of {image}, got {shown}"
        );
    }
    ensure!(listed.len() == 2, "expected two models, got {listed:?}");
    let sealed = world.condition(NS, NAME, "Sealed").await?;
    ensure!(
        sealed.status == "True" && sealed.reason == "NoEgress",
        "expected it to be sealed, got {sealed:?}"
    );
    Ok(())
}

async fn answers(stage: &Stage) -> Result<()> {
    let (status, body) = ask(stage, "/v1/models", None).await?;
    let listed: Value = serde_json::from_str(&body).unwrap_or_default();
    let ids: Vec<&str> = (listed["data"].as_array().into_iter().flatten())
        .filter_map(|model| model["id"].as_str())
        .collect();
    ensure!(
        status == 200 && ids == NAMES,
        "expected both models, got {status} {body}"
    );
    // One is loaded at a time: each question but the first takes the other one's place.
    let [one, other] = NAMES;
    let mut before = vec![];
    for name in [one, other, one] {
        let question = capital_of_france(name, "");
        let (status, body) = ask(stage, "/v1/chat/completions", Some(&question)).await?;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        ensure!(
            status == 200 && body.contains("Paris") && answer["model"] == name,
            "expected Paris of {name}, got {status} {body}"
        );
        // An existing cluster has its nodes on other machines.
        if stage.cluster().cgroup().is_ok() {
            let now = loaded(stage).await?;
            ensure!(
                now.len() == 1 && now != before,
                "expected another model than {before:?} alone, got {now:?}"
            );
            before = now;
        }
    }
    for (body, status, code) in [
        (
            json!({"model": "another", "messages": []}),
            404,
            "model_not_found",
        ),
        (json!({"messages": []}), 400, "model_required"),
        // The engine would take it for one of them.
        (
            json!({"model": "Chat", "messages": []}),
            404,
            "model_not_found",
        ),
    ] {
        let (got, text) = ask(stage, "/v1/chat/completions", Some(&body.to_string())).await?;
        ensure!(
            got == status && text.contains(code),
            "expected {status} {code} for {body}, got {got} {text}"
        );
    }
    Ok(())
}

/// The files of the models that the engine has loaded: it runs `ollama runner … --model <file>` for each.
async fn loaded(stage: &Stage) -> Result<Vec<String>> {
    let pods = stage.world.pods(NS, NAME).await?;
    let uid = pods.first().and_then(|pod| pod["metadata"]["uid"].as_str());
    let uid = uid.context("failed to find a pod")?;
    let mut files = vec![];
    for entry in std::fs::read_dir("/proc")? {
        let process = entry?.path();
        let read = |file: &str| std::fs::read_to_string(process.join(file)).unwrap_or_default();
        let line = read("cmdline");
        let words: Vec<&str> = line.split('\0').collect();
        let model = words.iter().position(|word| *word == "--model");
        let file = model.and_then(|at| words.get(at + 1));
        // A cgroup has the UID with dashes, or with underscores where systemd made it.
        let of_the_pod = || read("cgroup").replace('_', "-").contains(uid);
        if let Some(file) = file
            && words.get(1) == Some(&"runner")
            && of_the_pod()
        {
            files.push((*file).to_owned());
        }
    }
    Ok(files)
}

/// Each line has the digest of the model that answered.
async fn audited(stage: &Stage, images: [&str; 2]) -> Result<()> {
    let pods = stage.world.pods(NS, NAME).await?;
    let pod = pods.first().map(name_of).context("failed to find a pod")?;
    let logs = ["logs", "-n", NS, pod, "-c", "gate"];
    let log = stage.world.kubectl(&logs).await?.stdout;
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["kind"] == "audit" && line["status"] == 200)
        .filter(|line| line["route"] == "/v1/chat/completions")
        .collect();
    ensure!(lines.len() == 3, "expected three answers, got {lines:?}");
    for line in lines {
        let digest = line["digest"].as_str().unwrap_or_default();
        let image = images.into_iter().find(|image| image.ends_with(digest));
        let name = NAMES.into_iter().zip(images);
        let name = name
            .filter(|(_, of)| Some(*of) == image)
            .map(|(name, _)| name);
        ensure!(
            !digest.is_empty() && name.eq(line["model"].as_str()),
            "expected the digest of its model, got {line}"
        );
    }
    Ok(())
}

async fn ask(stage: &Stage, path: &str, data: Option<&str>) -> Result<(u16, String)> {
    let url = format!("http://{NAME}.{NS}.svc.cluster.local:8080{path}");
    stage.world.fetch(NS, &url, data, None, PATIENCE).await
}
