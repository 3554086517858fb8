//! The official clients and curl, and a pod that was not let in.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::place::{CLIENT, NS, run, stranger};
use crate::suite::fixtures::capital_of_france;
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
/// What LangChain is asked to show.
const LANGCHAIN: [&str; 5] = ["invoke", "stream", "chain", "tools", "wrong_key"];

pub(super) async fn unchanged(stage: &Stage) -> Result<()> {
    let place = stage.clients().await?;
    // Ollama takes no tools where the template has no place.
    let config = |model: &Served, llama: bool| {
        json!({
            "base": format!("{}/v1", model.url), "model": model.name, "key": place.key,
            "tools": llama, "retries": 0,
        })
    };
    let (chat, second) = (config(&place.chat, true), config(&place.second, false));
    let python = async |script: &str, config: &Value, checks: &[&str]| {
        run(stage, Language::Python, script, config, checks).await
    };
    python("openai_client.py", &chat, &PYTHON).await?;
    python("openai_client.py", &second, &PYTHON).await?;
    python("langchain_client.py", &chat, &LANGCHAIN).await?;
    run(stage, Language::Node, "openai_client.mjs", &chat, &NODE).await?;
    curl(stage, &place.chat, &place.key).await?;

    let base = |model: &Served| format!("{}/v1", model.url);
    let bases = json!({"chat": base(&place.chat), "second": base(&place.second)});
    let reached_nobody = stranger(stage, &json!({"bases": bases, "key": place.key})).await?;
    ensure!(
        reached_nobody == ["chat", "second"],
        "expected no connection to either, got {reached_nobody:?}"
    );
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
