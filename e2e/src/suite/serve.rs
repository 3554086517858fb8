//! What an application sees.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::fixtures::{capital_of_france, tool_pod};
use super::sockets::{API, dialled, gate_alone, reached};
use super::stage::Served;
use super::stranger::no_connection;
use super::{Case, Needs, Stage};
use crate::kube::wait;
use crate::world::name_of;

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "serve/a_client_that_was_let_in_gets_the_answer",
            needs,
            run: |s| Box::pin(answers(s)),
        },
        Case {
            name: "serve/a_stream_arrives_in_pieces",
            needs,
            run: |s| Box::pin(streams(s)),
        },
        Case {
            name: "serve/the_runtimes_counters_move",
            needs,
            run: |s| Box::pin(counters(s)),
        },
        Case {
            name: "serve/other_routes_are_not_there",
            needs,
            run: |s| Box::pin(routes(s)),
        },
        Case {
            name: "serve/nobody_but_the_gate_reaches_the_engine",
            needs,
            run: |s| Box::pin(engine(s)),
        },
        Case {
            name: "serve/a_stranger_gets_nothing",
            needs,
            run: |s| Box::pin(stranger(s)),
        },
        Case {
            name: "serve/every_probe_is_blocked_and_its_control_answers",
            needs,
            run: |s| Box::pin(probes(s)),
        },
        Case {
            name: "serve/the_status_says_what_is_not_evaluated",
            needs,
            run: |s| Box::pin(not_evaluated(s)),
        },
    ]
}

async fn answers(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let (status, body) = stage
        .ask(
            &model,
            "/v1/chat/completions",
            Some(&capital_of_france("assistant", "")),
        )
        .await?;
    ensure!(
        status == 200 && body.contains("Paris"),
        "expected Paris, got {status} {body}"
    );
    let (status, body) = stage.ask(&model, "/v1/models", None).await?;
    ensure!(
        status == 200 && body.contains("\"assistant\""),
        "expected the served name, got {status} {body}"
    );
    Ok(())
}

async fn streams(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let body = capital_of_france("assistant", "").replacen('{', "{\"stream\":true,", 1);
    let (status, body) = stage
        .ask(&model, "/v1/chat/completions", Some(&body))
        .await?;
    let pieces = body
        .lines()
        .filter(|line| line.starts_with("data: "))
        .count();
    ensure!(
        status == 200 && pieces > 3,
        "expected several pieces, got {status} with {pieces}: {body}"
    );
    ensure!(
        body.contains("data: [DONE]"),
        "expected the end of the stream in {body}"
    );
    Ok(())
}

async fn counters(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let before = stage.generated_tokens(&model).await?;
    let nonce = format!(" {:016x}", rand::random::<u64>());
    let (status, _) = stage
        .ask(
            &model,
            "/v1/chat/completions",
            Some(&capital_of_france("assistant", &nonce)),
        )
        .await?;
    let after = stage.generated_tokens(&model).await?;
    ensure!(
        status == 200 && after > before,
        "expected more than {before} tokens, got {status} and {after}"
    );
    Ok(())
}

async fn routes(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    for path in [
        "/",
        "/slots",
        "/props",
        "/metrics",
        "/completion",
        "/v1//models",
        "/v1/models/",
        "/v1/%6dodels",
        "/health",
    ] {
        let (status, body) = stage.ask(&model, path, None).await?;
        ensure!(
            status == 404,
            "expected 404 for {path}, got {status} {body}"
        );
    }
    Ok(())
}

/// Two pods of its namespace, one of which was let in, find one port or none. What listens in the pod, whoever may come,
/// and who has the engine's socket is seen where the nodes' processes are of this machine.
async fn engine(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let pod = |name| (model.namespace.as_str(), name);
    let client = reached(stage, &model, pod("client"), &[API], &[]);
    let stranger = reached(stage, &model, pod("stranger"), &[], &[]);
    let (client, stranger) = tokio::join!(client, stranger);
    client.and(stranger)?;
    if stage.cluster().cgroup().is_ok() {
        gate_alone(stage, &model).await?;
    }
    Ok(())
}

/// A namespace that nobody let in.
const ELSEWHERE: &str = "elsewhere";

/// Neither a pod of the model's namespace with another label nor one elsewhere that wears the client's.
async fn stranger(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    no_connection(stage, &model, &model.namespace, "stranger").await?;
    let room = stage.room(ELSEWHERE).await?;
    let done = impostor(stage, &model).await;
    // Others of the group ask from outside, so that packets cannot be counted here.
    room.leave().await?;
    done
}

async fn impostor(stage: &Stage, model: &Served) -> Result<()> {
    let tool = &stage.images.tool;
    let pod = tool_pod(ELSEWHERE, "client", tool, "client", &["tool", "idle"]);
    stage.world.apply(&pod).await?;
    stage.world.pods_ready(ELSEWHERE, &["client"]).await?;
    no_connection(stage, model, ELSEWHERE, "client").await
}

/// The operator's canaries.
const CANARIES: &str =
    "/api/v1/namespaces/sealroom-system/pods?labelSelector=app.kubernetes.io/component%3Dcanary";

async fn probes(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    // On a busy machine a control may miss its round.
    let tripwires = wait(Duration::from_secs(60), "every probe blocked", async || {
        probed(stage, &model).await.map(Some)
    });
    // They have no control of their own: that somebody answers there is seen from a pod beside the model that is not
    // sealed. Beside a cluster of others there need not be anybody at the addresses of metadata.
    let beside = stage.cluster().outside(&["true"]).await.is_ok();
    let mut to = tripwires.await?;
    to.retain(|to| beside || to.port() != METADATA);
    for attempt in dialled(stage, (&model.client, "client"), "tcp", &to).await? {
        ensure!(attempt.reached, "expected an answer, got {attempt:?}");
    }
    Ok(())
}

/// Where metadata are served.
const METADATA: u16 = 80;

/// What the gate tells of its last round: every target was blocked. Gives those that have no control.
async fn probed(stage: &Stage, model: &Served) -> Result<Vec<SocketAddr>> {
    let (world, ns) = (&stage.world, model.namespace.as_str());
    let pods = world.pods(ns, &model.name).await?;
    let pod = pods.first().context("failed to find a pod")?;
    let report = world.pod_json(ns, name_of(pod), 8081, "/sealz").await?;
    ensure!(
        report["state"] == "proven" && report["closure"] == "equal",
        "expected a proof, got {report}"
    );
    let targets = report["targets"].as_array().cloned().unwrap_or_default();
    for target in &targets {
        let required = target["required"] == true;
        let control = if required { "ok" } else { "none" };
        ensure!(
            target["verdict"] == "blocked" && target["control"] == control,
            "expected it to be blocked and its control to be {control}, got {target}"
        );
    }
    let canaries = world.list(CANARIES).await?;
    for (name, required) in expected(pod, &canaries) {
        let is = |target: &Value| target["name"] == name && target["required"] == required;
        ensure!(
            targets.iter().any(is),
            "expected {name} with required {required}, got {report}"
        );
    }
    let tripwires = targets.iter().filter(|target| target["required"] != true);
    let addresses = tripwires.filter_map(|target| target["addr"].as_str());
    let addresses = addresses.map(str::parse::<SocketAddr>);
    let addresses: Result<Vec<_>, _> = addresses.collect();
    addresses.context("failed to read an address")
}

/// The names of what a pod is asked to probe over IPv4, and whether each is required: the other family is there where
/// the cluster has it.
fn expected(pod: &Value, canaries: &[Value]) -> Vec<(String, bool)> {
    let own = |canary: &&Value| canary["spec"]["nodeName"] == pod["spec"]["nodeName"];
    let own = canaries.iter().filter(own).count();
    let mut both = vec!["canary-service", "dns"];
    both.extend((own > 0).then_some("canary/own-node"));
    both.extend((own < canaries.len()).then_some("canary/other-node"));
    let both = both.into_iter().flat_map(|name| {
        let names = ["tcp4", "udp4"].map(|over| format!("{name}/{over}"));
        names.map(|name| (name, true))
    });
    let tripwires = ["metadata/tcp4", "metadata/tcp6", "own-node/tcp4"];
    let tripwires = tripwires.map(|name| (name.to_owned(), false));
    both.chain([("api-server/tcp4".to_owned(), true)])
        .chain(tripwires)
        .collect()
}

/// The cluster's CNI has kinds of policy of its own.
async fn not_evaluated(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let status = stage.object(&model).await?["status"].take();
    let told = status["seal"]["notEvaluated"].to_string();
    ensure!(
        told.contains("ciliumnetworkpolicies.cilium.io"),
        "expected the CNI's own kinds in {told}"
    );
    Ok(())
}
