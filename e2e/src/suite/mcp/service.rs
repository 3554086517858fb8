//! A server that is bound to a Service which is no ModelDeployment's, in another namespace, while a pod is behind it and
//! while none is.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::changes::{OFFERED, serves_unbound, status};
use super::dialled::dialled;
use super::mounted;
use super::place::{NS, Place, delete, expect, object};
use super::seen;
use crate::objects::Subject;
use crate::suite::PROGRAM;
use crate::suite::fixtures::tool_pod;
use crate::suite::stage::Stage;
use crate::world::name_of;

/// The other namespace.
pub(super) const AWAY: &str = "mcp-away";
/// A pod there that answers chats, and its Service.
const PLAIN: &str = "plain";
/// One that answers them too, at the same port, and is behind no Service.
pub(super) const BESIDE: &str = "beside";
/// That port.
const PORT: u16 = 8000;
/// Where the API is at the Service.
const SERVICE_PORT: u16 = 80;
const PATH: &str = "/openai/v1";
/// The server.
const BOUND: &str = "bound";
/// For a gate to notice that nobody, or somebody again, is behind the Service, and for the next round to tell it.
const TRIED: Duration = Duration::from_secs(120);

/// By name, namespace, port and path. The edge leads to the pods that the Service selects, and to no other. When there is
/// none the server's object says so, and the next one is asked.
pub(super) async fn asked(stage: &Stage) -> Result<()> {
    let room = stage.room(AWAY).await?;
    let done = inside(stage).await;
    delete(stage, &[BOUND]).await?;
    done?;
    room.silent().await
}

async fn inside(stage: &Stage) -> Result<()> {
    let place = stage.helper().await?;
    let mut server = place.server(BOUND);
    server["spec"]["models"] = json!([{"service": {
        "name": PLAIN, "namespace": AWAY, "port": SERVICE_PORT, "path": PATH, "model": PLAIN,
    }}]);
    let ([map, kept], texts) = mounted::give(&mut server);
    stage.apply(&[map, kept, server]).await?;
    pods(stage).await?;
    place.ready(stage, BOUND).await?;
    let object = object(stage, BOUND).await?;
    expect(&object, "ModelsBound", "True", "Bound")?;
    expect(&object, "Sealed", "True", "DeclaredEgressOnly")?;
    let target = format!("Service {AWAY}/{PLAIN}");
    leads_to(&object, PORT, &target)?;
    let model = &object["status"]["models"][0];
    ensure!(
        model["target"] == target.as_str() && model["state"] == "Bound",
        "expected {target} to be bound, got {model}"
    );

    // The tool goes by the variables that it was given.
    let mut config = place.config(BOUND, "auto");
    config["model"] = PLAIN.into();
    let checks = ["ask", "variables"];
    place.serves(stage, &config, &checks).await?;
    let log = stage.world.kubectl(&["logs", "-n", AWAY, PLAIN]).await?;
    let asked = format!("POST {PATH}/chat/completions 200");
    ensure!(
        log.stdout.lines().any(|line| line == asked),
        "expected {asked:?} in {:?}",
        log.stdout
    );
    mounted::found(stage, place, config.clone(), &texts).await?;
    no_pod_beside_it(stage).await?;
    let bound = Subject::server(NS, BOUND);
    let before = seen::pods(stage, bound).await?;
    nobody_behind_it(stage, place, &config, &target).await?;
    pods(stage).await?;
    stage
        .world
        .wait_for(bound, "ModelsBound", "True", "Bound", TRIED)
        .await?;
    place.ready(stage, BOUND).await?;
    place.serves(stage, &config, &["ask"]).await?;
    let after = seen::pods(stage, bound).await?;
    ensure!(
        before.len() == 1 && before == after,
        "expected one pod as it was, {before:?}, got {after:?}"
    );
    Ok(())
}

/// The server's pod reaches the one, and of the other, which others reach, it hears nothing.
async fn no_pod_beside_it(stage: &Stage) -> Result<()> {
    let beside = address(stage, BESIDE).await?;
    let url = format!("http://{beside}:{PORT}/");
    let fetch = [PROGRAM, "tool", "fetch", "--exit-zero", &url];
    let told = stage.world.exec(AWAY, PLAIN, "tool", &fetch).await?.stdout;
    ensure!(
        told.starts_with("404 "),
        "expected {BESIDE} to answer, got {told}"
    );
    let plain = address(stage, PLAIN).await?;
    let peers = [(plain.as_str(), PORT), (beside.as_str(), PORT)];
    let told = dialled(stage, (NS, BOUND), &peers).await?;
    ensure!(
        told == ["reached", "TimeoutError"],
        "expected {PLAIN} alone to be reached of {peers:?}, got {told:?}"
    );
    Ok(())
}

/// While the one pod is gone the server's object says so, the server answers what needs no model, and what it asks of the
/// model gets an error.
async fn nobody_behind_it(
    stage: &Stage,
    place: &Place,
    config: &Value,
    target: &str,
) -> Result<()> {
    let world = &stage.world;
    let bound = Subject::server(NS, BOUND);
    let gone = ["delete", "pod", "-n", AWAY, PLAIN];
    world.kubectl(&gone).await?;
    serves_unbound(stage, BOUND, "ModelUnreachable", target, TRIED).await?;
    place.checks(stage, config, &["variables"]).await?;
    for pod in &world.pods_of(bound).await? {
        let told = status(stage, (name_of(pod), "server"), OFFERED, "none").await?;
        ensure!(told == "502", "expected 502 for the model, got {told}");
    }
    Ok(())
}

/// The two pods and the Service, once they are there: whoever comes first makes them.
pub(super) async fn pods(stage: &Stage) -> Result<()> {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": PLAIN, "namespace": AWAY},
        "spec": {"selector": {"app": PLAIN}, "ports": [{"port": SERVICE_PORT, "targetPort": PORT}]},
    });
    let port = PORT.to_string();
    let listens = ["tool", "completions", &port, "--path", PATH];
    let args = [&listens[..], &["--says", "Paris"]].concat();
    let mut objects = vec![service];
    for name in [PLAIN, BESIDE] {
        let pod = tool_pod(AWAY, name, &stage.images.tool, name, &args);
        objects.push(serde_json::from_str(&pod)?);
    }
    stage.apply(&objects).await?;
    stage.world.pods_ready(AWAY, &[PLAIN, BESIDE]).await?;
    Ok(())
}

/// The way to a model is an exit of its own.
pub(super) fn leads_to(object: &Value, port: u16, target: &str) -> Result<()> {
    let exits = &object["status"]["seal"]["exits"];
    let out = format!("out {port}/TCP to the pods of {target}");
    let all = exits.as_array();
    ensure!(
        all.is_some_and(|all| all.iter().any(|exit| *exit == out.as_str())),
        "expected {out:?} in {exits}"
    );
    Ok(())
}

/// The address of one of the two pods.
async fn address(stage: &Stage, pod: &str) -> Result<String> {
    let path = format!("/api/v1/namespaces/{AWAY}/pods/{pod}");
    let pod = stage.world.get(&path).await?.unwrap_or_default();
    let address = pod["status"]["podIP"].as_str();
    let address = address.context("failed to find a pod's address")?;
    Ok(address.to_owned())
}
