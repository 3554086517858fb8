//! Three models in one object of Ollama: one address, chosen by name, two of them loaded at a time.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::fixtures::{Model, capital_of_france};
use super::load::client;
use super::modes::vectors;
use super::ollama::memory;
use super::processes;
use super::stage::Served;
use super::{Case, Needs, Stage};
use crate::artifact::{model, push_twin};
use crate::cluster::cache;
use crate::registry::Registry;
use crate::world::name_of;

const NS: &str = "several";
const NAME: &str = "house";
/// Two that write text, the first of which takes tools, and one that makes vectors.
const NAMES: [&str; 3] = [ONE, OTHER, VECTORS];
const ONE: &str = "chat";
const OTHER: &str = "lab/twin:135m";
const VECTORS: &str = "vectors";
/// How many are loaded at once.
const LOADED: usize = 2;
const CHAT: &str = "/v1/chat/completions";
/// The template of the family with a place for tools.
const TEMPLATE: &str = "{{ if .Tools }}<|im_start|>system\nCall one of these functions: {{ .Tools }}<|im_end|>\n{{ end }}\
    {{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n";

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "several/three_models_behind_one_address_are_chosen_by_name",
        needs: Needs::BothLocks,
        run: |s| Box::pin(serves(s)),
    }]
}

async fn serves(stage: &Stage) -> Result<()> {
    let registry = Registry::new(&stage.world.environment)?;
    let file = model(&cache()).await?;
    let other = push_twin(&registry, &file).await?;
    let vectors = push_twin(&registry, sibling(&file)?.path()).await?;
    let room = stage.room(NS).await?;
    let done = inside(stage, [stage.artifact(), &other, &vectors]).await;
    room.leave_silent(done).await
}

/// A model that differs in another byte of its last weights than a twin does.
fn sibling(model: &Path) -> Result<NamedTempFile> {
    let copy = NamedTempFile::new()?;
    std::fs::copy(model, copy.path()).context("failed to copy the model")?;
    let mut file = File::options().read(true).write(true).open(copy.path())?;
    let mut byte = [0];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::End(-8))?;
    file.write_all(&[!byte[0]])?;
    Ok(copy)
}

async fn inside(stage: &Stage, images: [&str; 3]) -> Result<()> {
    let world = &stage.world;
    let models = NAMES.iter().zip(images).map(|(name, image)| {
        json!({"name": name, "artifact": {"image": image, "pullSecrets": [{"name": "registry"}]}})
    });
    let mut models: Vec<Value> = models.collect();
    models[0]["template"] = TEMPLATE.into();
    models[0]["stop"] = json!(["<|im_end|>"]);
    models[2]["mode"] = "Embedding".into();
    let made = Model::new(NS, NAME, stage.artifact())
        .ollama()
        .set("/runtime/ollama/maxLoadedModels", LOADED)
        .set("/models", models)
        .unset("artifact");
    world.apply(&made.yaml()).await?;
    client(stage, NS).await?;
    let long = Duration::from_secs(240);
    world
        .wait_condition(NS, NAME, "Ready", "True", "", long)
        .await?;

    listed(stage).await?;
    // An existing cluster has its nodes on other machines.
    if stage.cluster().cgroup().is_ok() {
        let uid = uid(stage).await?;
        tokio::select! {
            done = answers(stage, Some(&uid)) => done?,
            more = never_more(&uid) => more?,
        }
    } else {
        answers(stage, None).await?;
    }
    refuses(stage).await?;
    let what = "ollama with two of three models loaded";
    memory::below_its_limit(stage, &served(), what).await?;
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
    ensure!(listed.len() == 3, "expected three models, got {listed:?}");
    let sealed = world.condition(NS, NAME, "Sealed").await?;
    ensure!(
        sealed.status == "True" && sealed.reason == "NoEgress",
        "expected it to be sealed, got {sealed:?}"
    );
    Ok(())
}

async fn listed(stage: &Stage) -> Result<()> {
    let (status, body) = ask(stage, "/v1/models", None).await?;
    let listed: Value = serde_json::from_str(&body).unwrap_or_default();
    let ids: Vec<&str> = (listed["data"].as_array().into_iter().flatten())
        .filter_map(|model| model["id"].as_str())
        .collect();
    ensure!(
        status == 200 && ids == NAMES,
        "expected all models, got {status} {body}"
    );
    Ok(())
}

/// All of them answer, the third with vectors, and the first one again, to a question with a tool: whoever is not loaded
/// takes the place of one that is. In the pod of this UID as many are loaded as may be, and each was at some time.
async fn answers(stage: &Stage, uid: Option<&str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (turn, name) in [ONE, OTHER, VECTORS, ONE].into_iter().enumerate() {
        match turn {
            2 => vectors(stage, &served(), name).await?,
            3 => calls(stage, name).await?,
            _ => paris(stage, name).await?,
        }
        if let Some(uid) = uid {
            let now = loaded(uid)?;
            ensure!(
                now.len() == LOADED,
                "expected {LOADED} models to be loaded beside {name}, got {now:?}"
            );
            seen.extend(now);
        }
    }
    ensure!(
        uid.is_none() || seen.len() == NAMES.len(),
        "expected each model to be loaded once, got {seen:?}"
    );
    Ok(())
}

async fn paris(stage: &Stage, name: &str) -> Result<()> {
    let question = capital_of_france(name, "");
    let (status, body) = ask(stage, CHAT, Some(&question)).await?;
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    ensure!(
        status == 200 && body.contains("Paris") && answer["model"] == name,
        "expected Paris of {name}, got {status} {body}"
    );
    Ok(())
}

/// A question with a tool. Ollama lets a model write what it likes and looks for a call in that, so the form of the answer
/// is given too: so small a model would not find it by itself.
fn weather(model: &str) -> String {
    let city = json!({"type": "string", "enum": ["Paris"]});
    let parameters = json!({"type": "object", "properties": {"city": city}, "required": ["city"]});
    let call = json!({
        "type": "object",
        "properties": {"name": {"type": "string", "enum": ["weather"]}, "arguments": parameters},
        "required": ["name", "arguments"],
    });
    let function = json!({"name": "weather", "description": "The weather of a city", "parameters": parameters});
    json!({
        "model": model,
        "temperature": 0,
        "seed": 7,
        "max_tokens": 96,
        "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
        "tools": [{"type": "function", "function": function}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "call", "schema": call}},
    })
    .to_string()
}

/// The model whose template has a place for tools calls one.
async fn calls(stage: &Stage, name: &str) -> Result<()> {
    let (status, body) = ask(stage, CHAT, Some(&weather(name))).await?;
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    let choice = &answer["choices"][0];
    let calls = &choice["message"]["tool_calls"];
    let call = &calls[0]["function"];
    let arguments = call["arguments"].as_str().unwrap_or_default();
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    ensure!(
        status == 200
            && choice["finish_reason"] == "tool_calls"
            && calls.as_array().is_some_and(|calls| calls.len() == 1)
            && call["name"] == "weather"
            && arguments == json!({"city": "Paris"}),
        "expected a call of the tool, got {status} {body}"
    );
    Ok(())
}

async fn refuses(stage: &Stage) -> Result<()> {
    for (body, status, code) in [
        (
            json!({"model": "another", "messages": []}).to_string(),
            404,
            "model_not_found",
        ),
        (json!({"messages": []}).to_string(), 400, "model_required"),
        // The engine would take it for one of them.
        (
            json!({"model": "Chat", "messages": []}).to_string(),
            404,
            "model_not_found",
        ),
        (capital_of_france(VECTORS, ""), 404, "wrong_mode"),
        // It has the template of its family, without a place for them.
        (weather(OTHER), 400, "does not support tools"),
    ] {
        let (got, text) = ask(stage, CHAT, Some(&body)).await?;
        ensure!(
            got == status && text.contains(code),
            "expected {status} {code} for {body}, got {got} {text}"
        );
    }
    Ok(())
}

async fn uid(stage: &Stage) -> Result<String> {
    let pods = stage.world.pods(NS, NAME).await?;
    let uid = pods.first().and_then(|pod| pod["metadata"]["uid"].as_str());
    Ok(uid.context("failed to find a pod")?.to_owned())
}

/// The files of the models that the engine of a pod has loaded: it runs `ollama runner … --model <file>` for each.
fn loaded(uid: &str) -> Result<Vec<String>> {
    let mut files = vec![];
    for process in processes::all()? {
        let line = processes::text(&process, "cmdline");
        let words: Vec<&str> = line.split('\0').collect();
        let model = words.iter().position(|word| *word == "--model");
        let file = model.and_then(|at| words.get(at + 1));
        if let Some(file) = file
            && words.get(1) == Some(&"runner")
            && processes::is_of(&process, uid)
        {
            files.push((*file).to_owned());
        }
    }
    Ok(files)
}

/// Looks until there are more than may be: also while one takes another one's place.
async fn never_more(uid: &str) -> Result<()> {
    loop {
        let now = loaded(uid)?;
        ensure!(
            now.len() <= LOADED,
            "expected at most {LOADED} models to be loaded, got {now:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Each line has the digest of the model that answered.
async fn audited(stage: &Stage, images: [&str; 3]) -> Result<()> {
    let pods = stage.world.pods(NS, NAME).await?;
    let pod = pods.first().map(name_of).context("failed to find a pod")?;
    let logs = ["logs", "-n", NS, pod, "-c", "gate"];
    let log = stage.world.kubectl(&logs).await?.stdout;
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["kind"] == "audit" && line["status"] == 200)
        .filter(|line| !line["model"].is_null())
        .collect();
    let named: Vec<_> = lines.iter().map(|line| line["model"].as_str()).collect();
    ensure!(
        named == [ONE, OTHER, VECTORS, ONE].map(Some),
        "expected four answers, got {lines:?}"
    );
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

fn served() -> Served {
    Served::of(NS, NAME).asked_nearby()
}

async fn ask(stage: &Stage, path: &str, data: Option<&str>) -> Result<(u16, String)> {
    stage.ask(&served(), path, data).await
}
