//! People outside the cluster: the examples in `examples/ingress`, and a client on the host outside.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::clients::Authority;
use super::fixtures::capital_of_france;
use super::{Case, Needs, Stage};
use crate::install::{self, example};
use crate::kube::wait;
use crate::world::name_of;

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "ingress/people_outside_ask_through_a_controller",
            needs,
            run: |s| Box::pin(controller(s)),
        },
        Case {
            name: "ingress/a_load_balancer_asks_by_its_address",
            needs,
            run: |s| Box::pin(load_balancer(s)),
        },
    ]
}

/// The namespace of the examples.
const NS: &str = "team-a";
/// The controller's.
const INGRESS: &str = "ingress";
/// What people outside call the model.
const HOST: &str = "assistant.lab.internal";
/// The host outside, and another address of it.
const OUTSIDE: [&str; 2] = ["172.31.9.10", "172.31.9.21"];
/// A key for the person outside.
const KEYS: &str = "assistant-outside-keys";

/// The host outside asks `/v1/…` with these flags of `tool fetch`: status and body.
async fn ask(stage: &Stage, flags: &[&str]) -> Result<(u16, String)> {
    let program = std::env::current_exe().context("failed to find this program's own path")?;
    let program = program.to_string_lossy();
    let fetch = [
        &program,
        "tool",
        "fetch",
        "--exit-zero",
        "--timeout-seconds",
        "40",
    ];
    let command = [&fetch[..], flags].concat();
    let told = stage.cluster().outside(&command).await?.stdout;
    let (first, body) = told.split_once('\n').unwrap_or((&told, ""));
    let status = first.split(' ').next().unwrap_or_default();
    let status = status
        .parse()
        .with_context(|| format!("failed to read a status from {first:?}"));
    Ok((status?, body.to_owned()))
}

/// The namespace of the examples with a key, and a model of one of them.
async fn model(stage: &Stage, folder: &str, name: &str, key: &str) -> Result<()> {
    let world = &stage.world;
    world.namespace(NS).await?;
    let keys = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": KEYS, "namespace": NS}, "stringData": {"ada": key},
    });
    world.apply(&keys.to_string()).await?;
    for file in ["00-namespace.yaml", "10-modeldeployment.yaml"] {
        let places = [
            ("MODEL_REF", stage.artifact()),
            ("LOAD_BALANCER", OUTSIDE[0]),
        ];
        world
            .apply(&example(&format!("{folder}/{file}"), &places)?)
            .await?;
    }
    let long = Duration::from_secs(240);
    world
        .wait_condition(NS, name, "Ready", "True", "", long)
        .await
        .map(drop)
}

/// The ways in that the status lists.
async fn exits(stage: &Stage, name: &str) -> Result<String> {
    let object = stage.world.model(NS, name).await?.unwrap_or_default();
    Ok(object["status"]["seal"]["exits"].to_string())
}

async fn controller(stage: &Stage) -> Result<()> {
    let name = "assistant-outside";
    let key = format!("{:032x}", rand::random::<u128>());
    let authority = Authority::new("Lab")?;
    let world = &stage.world;
    let image = install::traefik(stage.cluster()).await?;
    world.namespace(INGRESS).await?;
    world.namespace(NS).await?;
    for file in ["10-traefik.yaml", "20-rights.yaml"] {
        let file = format!("ingress/controller/{file}");
        world
            .apply(&example(&file, &[("TRAEFIK_IMAGE", &image)])?)
            .await?;
    }
    let pair = authority.sign(HOST)?;
    let certificate = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "assistant-outside-tls", "namespace": NS},
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    });
    world.apply(&certificate.to_string()).await?;
    world
        .apply(&example("ingress/20-ingress.yaml", &[])?)
        .await?;
    model(stage, "ingress", name, &key).await?;
    world.rolled_out(INGRESS, "traefik").await?;

    let ca = tempfile::NamedTempFile::new()?;
    std::fs::write(ca.path(), authority.certificate())?;
    let asked = outside(stage, name, &key, &ca.path().to_string_lossy()).await;
    world
        .kubectl(&["delete", "-n", NS, "modeldeployment", name])
        .await?;
    world
        .kubectl(&["delete", "namespace", INGRESS, "--wait=false"])
        .await?;
    asked
}

/// What somebody outside gets through the controller.
async fn outside(stage: &Stage, name: &str, key: &str, ca: &str) -> Result<()> {
    let path = format!("/api/v1/namespaces/{INGRESS}/services/traefik");
    let service = stage.world.get(&path).await?.unwrap_or_default();
    let port = &service["spec"]["ports"][0]["nodePort"];
    let base = format!("https://{HOST}:{port}/v1");
    let nodes = stage.world.list("/api/v1/nodes").await?;
    let address = nodes[0]["status"]["addresses"].as_array().and_then(|all| {
        let internal = all.iter().find(|address| address["type"] == "InternalIP");
        internal.and_then(|address| address["address"].as_str())
    });
    let address = address.context("failed to find a node's address")?;
    let trusting = ["--at", address, "--ca", ca];
    let models = format!("{base}/models");
    let with_key = [&trusting[..], &["--key", key, &models]].concat();
    // The controller sees the Ingress and the pod's address a moment after the object is Ready.
    wait(
        Duration::from_secs(60),
        "the way through the controller",
        async || {
            let (status, body) = ask(stage, &with_key).await?;
            Ok((status == 200 && body.contains(name)).then_some(()))
        },
    )
    .await?;

    let question = capital_of_france(name, "").replacen('{', "{\"stream\":true,", 1);
    let chat = format!("{base}/chat/completions");
    let asking = [&trusting[..], &["--data", &question, &chat]].concat();
    let (status, body) = ask(stage, &[&asking[..], &["--key", key]].concat()).await?;
    let pieces = body
        .lines()
        .filter(|line| line.starts_with("data: "))
        .count();
    ensure!(
        status == 200 && pieces > 3 && body.contains("data: [DONE]"),
        "expected a stream through the controller, got {status} {body}"
    );
    let (status, body) = ask(stage, &asking).await?;
    let error: Value = serde_json::from_str(&body).unwrap_or_default();
    ensure!(
        status == 401 && error["error"]["code"] == "invalid_api_key",
        "expected a refusal without a key, got {status} {body}"
    );
    let untrusting = ask(stage, &["--at", address, &models]).await;
    ensure!(
        untrusting.is_err(),
        "expected no answer without trust, got {untrusting:?}"
    );
    let exits = exits(stage, name).await?;
    ensure!(
        exits.contains("kubernetes.io/metadata.name") && exits.contains("traefik"),
        "expected the controller among the ways in, got {exits}"
    );
    Ok(())
}

/// One address outside is let in, another one of the same machine is not.
async fn load_balancer(stage: &Stage) -> Result<()> {
    let name = "assistant-routed";
    let key = format!("{:032x}", rand::random::<u128>());
    model(stage, "ingress/load-balancer", name, &key).await?;
    let asked = routed(stage, name, &key).await;
    stage.room(NS).await?.leave().await?;
    asked
}

async fn routed(stage: &Stage, name: &str, key: &str) -> Result<()> {
    let pods = stage.world.pods(NS, name).await?;
    let pod = pods.first().context("failed to find the pod")?;
    let address = pod["status"]["podIP"].as_str().unwrap_or_default();
    let url = format!("http://{address}:8080/v1/models");
    let (status, body) = ask(stage, &["--from", OUTSIDE[0], "--key", key, &url]).await?;
    ensure!(
        status == 200 && body.contains(name),
        "expected {} to be let in to {}, got {status} {body}",
        OUTSIDE[0],
        name_of(pod)
    );
    let (status, _) = ask(stage, &["--from", OUTSIDE[0], &url]).await?;
    ensure!(
        status == 401,
        "expected a refusal without a key, got {status}"
    );
    let other = ask(stage, &["--from", OUTSIDE[1], "--key", key, &url]).await;
    ensure!(
        other.is_err(),
        "expected no connection from {}, got {other:?}",
        OUTSIDE[1]
    );
    let exits = exits(stage, name).await?;
    ensure!(
        exits.contains("172.31.9.10/32"),
        "expected the load balancer among the ways in, got {exits}"
    );
    Ok(())
}
