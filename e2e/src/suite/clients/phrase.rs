//! A phrase that people write into requests is afterwards in no log and in no file.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use serde_json::json;

use super::place::{CLIENT, NS, Place, run};
use super::search::everywhere;
use crate::suite::fixtures::random;
use crate::suite::languages::{CONTAINER, Language};
use crate::suite::stage::{Served, Stage};
use crate::world::name_of;

/// Where the phrase stands, in this order; at the end where one engine refuses and the other cuts off and computes.
const SENT: [&str; 12] = [
    "prompt",
    "stream",
    "broken_off",
    "tool",
    "wrong_key",
    "other_model",
    "remote_image",
    "query",
    "path",
    "fields",
    "broken_body",
    "too_long",
];

pub(super) async fn nowhere(stage: &Stage) -> Result<()> {
    let done = written_nowhere(stage).await;
    stage.room(NS).await?.leave().await?;
    done
}

async fn written_nowhere(stage: &Stage) -> Result<()> {
    let place = stage.clients().await?;
    let since = SystemTime::now() - Duration::from_secs(1);
    let (phrase, control) = (random(), random());
    send(stage, place, &place.chat, &phrase, &SENT).await?;
    let (_, but_last) = SENT.split_last().unwrap_or((&"", &[]));
    send(stage, place, &place.second, &phrase, but_last).await?;
    write_down(stage, &control).await?;
    // The gates' audit and etcd have written what they had.
    tokio::time::sleep(Duration::from_secs(2)).await;

    // The control is in every kind of place, so that the phrase would have been found there too.
    let [controls, phrases] = everywhere(stage, [&control, &phrase], since).await?;
    for kind in [
        "log of clients/client",
        "/var/log/pods/",
        "kubernetes.io~empty-dir/tmp/history",
        "/etcd/",
        "audit",
    ] {
        ensure!(
            controls.iter().any(|place| place.contains(kind)),
            "expected to find the control in a place like {kind}, found it in {controls:?}"
        );
    }
    ensure!(
        phrases.is_empty(),
        "expected the phrase nowhere, found it in {phrases:?}"
    );
    for model in [&place.chat, &place.second] {
        not_in_metrics(stage, model, &phrase).await?;
    }
    Ok(())
}

/// Sends it in all places of a request.
async fn send(
    stage: &Stage,
    place: &Place,
    model: &Served,
    phrase: &str,
    checks: &[&str],
) -> Result<()> {
    let config = json!({
        "base": format!("{}/v1", model.url), "model": model.name, "key": place.key, "phrase": phrase,
    });
    run(stage, Language::Python, "phrase.py", &config, checks).await
}

/// What the gate tells of itself has it neither.
async fn not_in_metrics(stage: &Stage, model: &Served, phrase: &str) -> Result<()> {
    for pod in stage.world.pods(NS, &model.name).await? {
        for (port, path) in [(8082, "/metrics"), (8081, "/sealz")] {
            let text = stage.world.pod_text(NS, name_of(&pod), port, path).await?;
            ensure!(
                !text.is_empty() && !text.contains(phrase),
                "expected no phrase in {path} of {}",
                model.name
            );
        }
    }
    Ok(())
}

/// Writes a text down as a careless pod would: into its log, a file, an object and an argument.
async fn write_down(stage: &Stage, control: &str) -> Result<()> {
    let script = format!(
        "open('/proc/1/fd/1', 'w').write('{control}\\n')\nopen('/tmp/history', 'w').write('{control}')\n"
    );
    let python = ["/usr/bin/python3", "-"];
    let world = &stage.world;
    world.feed(NS, CLIENT, CONTAINER, &python, &script).await?;
    let argument = ["/usr/bin/python3", "-c", "pass", control];
    world.exec(NS, CLIENT, CONTAINER, &argument).await?;
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "history", "namespace": NS},
        "data": {"text": control},
    });
    stage.apply(&[object]).await
}
