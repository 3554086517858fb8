//! The official clients and curl, and a pod that was not let in.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::place::{CLIENT, NS, run, stranger};
use crate::suite::PROGRAM;
use crate::suite::fixtures::{capital_of_france, random, tool_pod};
use crate::suite::languages::{CONTAINER, Language};
use crate::suite::stage::{Served, Stage};

/// What the client of Python is asked to show, in this order.
const PYTHON: [&str; 9] = [
    "models",
    "chat",
    "stream",
    "asynchronous",
    "completions",
    "structured",
    "tools",
    "embeddings",
    "errors",
];
/// What the client of Node is asked to show.
const NODE: [&str; 8] = [
    "models",
    "chat",
    "stream",
    "stream_helper",
    "tools",
    "embeddings",
    "errors",
    "aborted",
];
/// What both are asked to show of a model that makes vectors.
const VECTORS: [&str; 3] = ["models", "vectors", "no_chat"];
/// What LangChain is asked to show.
const LANGCHAIN: [&str; 5] = ["invoke", "stream", "chain", "tools", "wrong_key"];

/// A pod that wears the client's label and is another one.
const IMPOSTOR: &str = "impostor";

pub(super) async fn unchanged(stage: &Stage) -> Result<()> {
    let place = stage.clients().await?;
    let base = |model: &Served| format!("{}/v1", model.url);
    let config = |model: &Served, tools: bool| {
        json!({
            "base": base(model), "model": model.name, "key": place.key, "tools": tools, "retries": 0,
        })
    };
    let python = async |script: &str, config: &Value, checks: &[&str]| {
        run(stage, Language::Python, script, config, checks).await
    };
    let node = async |config: &Value, checks: &[&str]| {
        run(stage, Language::Node, "openai_client.mjs", config, checks).await
    };
    // Ollama takes no tools where the template has no place.
    for (model, tools) in [(&place.chat, true), (&place.second, false)] {
        let config = config(model, tools);
        python("openai_client.py", &config, &PYTHON).await?;
        python("langchain_client.py", &config, &LANGCHAIN).await?;
        node(&config, &NODE).await?;
        curl(stage, model, &place.key).await?;
    }
    let vectors = config(&place.vectors, false);
    python("openai_client.py", &vectors, &VECTORS).await?;
    node(&vectors, &VECTORS).await?;

    let models = [&place.chat, &place.second, &place.vectors];
    let bases: BTreeMap<_, _> = models.map(|model| (&model.name, base(model))).into();
    let reached_nobody = stranger(stage, &json!({"bases": bases, "key": place.key})).await?;
    ensure!(
        reached_nobody == ["chat", "second", "vectors"],
        "expected no connection to any, got {reached_nobody:?}"
    );
    without_a_key(stage, &place.chat).await
}

/// Another pod of the namespace that wears the client's label: the network lets it in, and it has no key.
async fn without_a_key(stage: &Stage, model: &Served) -> Result<()> {
    let world = &stage.world;
    let tool = &stage.images.tool;
    let pod = tool_pod(NS, IMPOSTOR, tool, CLIENT, &["tool", "idle"]);
    world.apply(&pod).await?;
    world.pods_ready(NS, &[IMPOSTOR]).await?;
    let url = format!("{}/v1/models", model.url);
    let without = [
        PROGRAM,
        "tool",
        "fetch",
        "--exit-zero",
        "--timeout-seconds",
        "40",
        &url,
    ];
    let key = random();
    let guessed = [&without[..], &["--key", &key]].concat();
    for fetch in [&without[..], &guessed[..]] {
        let told = world.exec(NS, IMPOSTOR, "tool", fetch).await?.stdout;
        ensure!(
            told.starts_with("401 ") && told.contains("invalid_api_key"),
            "expected a refusal without the key, got {told}"
        );
    }
    Ok(())
}

/// A question over both versions of HTTP, and one without a key.
async fn curl(stage: &Stage, model: &Served, key: &str) -> Result<()> {
    let url = format!("{}/v1/chat/completions", model.url);
    let question = capital_of_france(&model.name, "");
    for (version, shown) in [("http1.1", "1.1"), ("http2-prior-knowledge", "2")] {
        let (answer, told) = ask(stage, &url, Some(key), &question, &[version]).await?;
        ensure!(
            told == format!("200 {shown}") && answer["choices"][0].to_string().contains("Paris"),
            "expected Paris over {version}, got {told} {answer}"
        );
    }
    let (answer, told) = ask(stage, &url, None, &question, &[]).await?;
    ensure!(
        told == "401 1.1" && answer["error"]["code"] == "invalid_api_key",
        "expected a refusal without a key, got {told} {answer}"
    );
    Ok(())
}

/// What curl got: the JSON, the status and the version of HTTP. As the libraries do, it waits where it is told to.
pub(super) async fn ask(
    stage: &Stage,
    url: &str,
    key: Option<&str>,
    data: &str,
    flags: &[&str],
) -> Result<(Value, String)> {
    let quoted = |text: &str| Value::from(text).to_string();
    let mut config = format!(
        "url = {}\ndata = {}\nheader = \"Content-Type: application/json\"\nsilent\nshow-error\nmax-time = 60\n",
        quoted(url),
        quoted(data)
    );
    if let Some(key) = key {
        config += &format!(
            "header = {}\n",
            quoted(&format!("Authorization: Bearer {key}"))
        );
    }
    for flag in flags {
        config += &format!("{flag}\n");
    }
    config += "write-out = \"\\n%{http_code} %{http_version}\"\n";
    let command = ["/usr/bin/curl", "--config", "-"];
    let world = &stage.world;
    for _ in 0..10 {
        let got = world.feed(NS, CLIENT, CONTAINER, &command, &config).await?;
        let (body, told) = got.stdout.trim_end().rsplit_once('\n').unwrap_or_default();
        if !told.starts_with("429") {
            return Ok((serde_json::from_str(body)?, told.to_owned()));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    bail!("failed to ask {url}: it never had room")
}
