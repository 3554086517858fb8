//! A model of one namespace and a server of another: it asks from the model's word on, and nobody beside it does.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::place::{AGENT, BRAIN, HELPER, NS, Place, expect};
use super::service::{AWAY, BESIDE, leads_to, pods};
use crate::kube::wait;
use crate::objects::Subject;
use crate::suite::fixtures::secret;
use crate::suite::languages::CONTAINER;
use crate::suite::stage::{Served, Stage};
use crate::suite::stranger::no_connection;

/// The server.
const FAR: &str = "far";
const SOON: Duration = Duration::from_secs(40);
const LONG: Duration = Duration::from_secs(240);

pub(super) async fn let_in(stage: &Stage) -> Result<()> {
    let room = stage.room(AWAY).await?;
    let done = inside(stage).await;
    let back = may_ask(stage, &[]).await;
    // Nobody waits for what is left there: nothing of it dials out.
    let gone = ["delete", "namespace", AWAY, "--wait=false"];
    stage.world.kubectl(&gone).await?;
    done?;
    back?;
    room.silent().await
}

async fn inside(stage: &Stage) -> Result<()> {
    let place = stage.helper().await?;
    let world = &stage.world;
    let far = Subject::server(AWAY, FAR);
    stage.apply(&objects(place)).await?;
    pods(stage).await?;
    not_yet(stage, far).await?;

    // The labels that the message asks for.
    let peer = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": AWAY}},
        "podSelector": {"matchLabels": {
            "app.kubernetes.io/name": "sealroom-mcp", "app.kubernetes.io/instance": FAR,
        }},
    });
    may_ask(stage, &[peer]).await?;
    world.wait_for(far, "Ready", "True", "", LONG).await?;
    let object = world.object(far).await?.unwrap_or_default();
    expect(&object, "ModelsBound", "True", "Bound")?;
    leads_to(&object, 8080, &format!("ModelDeployment {NS}/{BRAIN}"))?;
    let mut config = place.config(FAR, "auto");
    config["url"] = object["status"]["url"].clone();
    // While the model answers the one, the other gets no connection to it.
    let brain = Served::of(NS, BRAIN);
    let asks = place.serves(stage, &config, &["ask"]);
    let (asked, shut) = tokio::join!(asks, no_connection(stage, &brain, AWAY, BESIDE));
    asked.and(shut)?;
    closes(stage, &brain).await
}

/// What the model's owner has to write is said, and there is neither a pod nor a way out before.
async fn not_yet(stage: &Stage, far: Subject<'_>) -> Result<()> {
    let world = &stage.world;
    let told = world
        .wait_for(far, "ModelsBound", "False", "AccessNotGranted", SOON)
        .await?;
    for label in [
        format!("kubernetes.io/metadata.name={AWAY}"),
        format!("app.kubernetes.io/instance={FAR}"),
    ] {
        ensure!(
            told.message.contains(&label),
            "expected {label} to be asked for, got {told:?}"
        );
    }
    let pods = world.pods_of(far).await?.len();
    let edges = edges(stage, AWAY, FAR).await?.unwrap_or_default();
    let out = edges["egress"].as_array().map_or(0, Vec::len);
    ensure!(
        pods == 0 && out == 0,
        "expected no pod and no way out before the model's word, got {pods} and {edges}"
    );
    Ok(())
}

/// With the server its own edges go, and with the model's word the peer. The agent may ask as before.
async fn closes(stage: &Stage, brain: &Served) -> Result<()> {
    let gone = ["delete", "mcps", "-n", AWAY, FAR, "--wait=false"];
    stage.world.kubectl(&gone).await?;
    wait(SOON, "the server's edges go", async || {
        let edges = edges(stage, AWAY, FAR).await?;
        Ok(edges.is_none().then_some(()))
    })
    .await?;
    may_ask(stage, &[]).await?;
    wait(SOON, "the peer go", async || {
        let edges = edges(stage, NS, BRAIN).await?.unwrap_or_default();
        let edges = edges["ingress"].to_string();
        Ok((edges.contains(AGENT) && !edges.contains(AWAY)).then_some(()))
    })
    .await?;
    let script = format!(
        "import socket; socket.create_connection(('{BRAIN}.{NS}.svc.cluster.local', 8080), timeout=10)"
    );
    let connect = ["/usr/bin/python3", "-c", &script];
    let agent = stage.world.exec(NS, AGENT, CONTAINER, &connect);
    let (agent, shut) = tokio::join!(agent, no_connection(stage, brain, AWAY, BESIDE));
    agent.context("failed to reach the model from the agent")?;
    shut
}

/// The server with its keys: the one for its model, and the one of the agent, which may call it.
fn objects(place: &Place) -> [Value; 3] {
    let mut server = place.server(FAR);
    server["metadata"]["namespace"] = AWAY.into();
    let spec = &mut server["spec"];
    spec["models"] = json!([{
        "modelDeploymentRef": {"name": BRAIN, "namespace": NS},
        "apiKeySecretRef": {"name": "brain-keys", "key": HELPER},
    }]);
    spec["access"]["from"][0]["namespaceSelector"] =
        json!({"matchLabels": {"kubernetes.io/metadata.name": NS}});
    [
        secret(AWAY, "brain-keys", &json!({HELPER: place.bound_key})),
        secret(AWAY, "helper-keys", &json!({AGENT: place.server_key})),
        server,
    ]
}

/// Writes who may ask the model: the agent, and these.
async fn may_ask(stage: &Stage, others: &[Value]) -> Result<()> {
    let mut from = vec![json!({"podSelector": {"matchLabels": {"app": AGENT}}})];
    from.extend_from_slice(others);
    let access = json!({"spec": {"access": {"from": from}}}).to_string();
    let model = ["patch", "modeldeployment", "-n", NS, BRAIN];
    let patch = [&model[..], &["--type=merge", "-p", &access]].concat();
    stage.world.kubectl(&patch).await?;
    Ok(())
}

/// The edges of an object's pods, as their NetworkPolicy has them.
async fn edges(stage: &Stage, namespace: &str, name: &str) -> Result<Option<Value>> {
    let policies = format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies");
    let policy = format!("{policies}/sealroom-edge-{name}");
    let policy = stage.world.get(&policy).await?;
    Ok(policy.map(|mut policy| policy["spec"].take()))
}
