//! The controls: without them a silence proves nothing.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::fixtures::Model;
use super::hole::refuses;
use super::stage::Served;
use super::{Case, Needs, Stage};

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "controls/without_canaries_nothing_new_starts",
            needs,
            run: |s| Box::pin(canaries_gone(s)),
        },
        Case {
            name: "controls/a_canary_that_cannot_dial",
            needs,
            run: |s| Box::pin(no_dial(s)),
        },
        Case {
            name: "controls/a_canary_that_does_not_listen",
            needs,
            run: |s| Box::pin(no_listener(s)),
        },
        Case {
            name: "controls/no_dns",
            needs,
            run: |s| Box::pin(no_dns(s)),
        },
    ]
}

const SYSTEM: &str = "sealroom-system";
/// A proof is valid for three rounds of ten seconds, and then the condition follows; on a busy machine not at once.
const ROUND: Duration = Duration::from_secs(150);
const READY: Duration = Duration::from_secs(240);

async fn scale(stage: &Stage, namespace: &str, deployment: &str, replicas: u32) -> Result<()> {
    let replicas_flag = format!("--replicas={replicas}");
    stage
        .world
        .kubectl(&[
            "scale",
            "deployment",
            "-n",
            namespace,
            deployment,
            &replicas_flag,
        ])
        .await?;
    if replicas > 0 {
        stage.world.rolled_out(namespace, deployment).await?;
    }
    Ok(())
}

/// Waits until the assistant's seal is known again.
async fn well_again(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    stage
        .world
        .wait_condition(
            &model.namespace,
            &model.name,
            "Sealed",
            "True",
            "NoEgress",
            ROUND,
        )
        .await?;
    stage
        .world
        .wait_condition(&model.namespace, &model.name, "Ready", "True", "", ROUND)
        .await?;
    Ok(())
}

/// Waits until the seal of the assistant is unknown because of a control, and checks that it goes on serving.
async fn unknown_but_serving(stage: &Stage) -> Result<String> {
    let model = stage.assistant().await?;
    let (ns, name) = (&model.namespace, &model.name);
    let unknown = stage
        .world
        .wait_condition(ns, name, "Sealed", "Unknown", "ControlFailed", ROUND)
        .await?;
    let status = stage.get_status(&model, "/v1/models").await;
    ensure!(
        status == Some(200),
        "expected a running model to go on (whenStale: Serve), it said {status:?}"
    );
    Ok(unknown.message)
}

async fn canaries_gone(stage: &Stage) -> Result<()> {
    let ns = "controls-gone";
    stage.assistant().await?;
    stage.short_rounds().await?;
    let room = stage.room(ns).await?;
    let strict = Model::new(ns, "strict", stage.artifact())
        .from_home()
        .set("/seal/whenStale", "Refuse");
    stage.world.apply(&strict.yaml()).await?;
    stage
        .world
        .wait_condition(ns, "strict", "Ready", "True", "", READY)
        .await?;
    scale(stage, SYSTEM, "sealroom-canary", 0).await?;
    let held = async {
        unknown_but_serving(stage).await?;
        stage
            .world
            .apply(&Model::new(ns, "new", stage.artifact()).yaml())
            .await?;
        // After the proof's age and the grace time it is no longer behind its Service, and says so who asks its pod.
        refuses(stage, &Served::of(ns, "strict"), ROUND).await?;
        stage
            .world
            .wait_condition(ns, "new", "ArtifactReady", "True", "", READY)
            .await?;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let sealed = stage.world.condition(ns, "new", "Sealed").await?;
        ensure!(
            sealed.status == "Unknown",
            "expected no proof without a canary, got {sealed:?}"
        );
        let pods = stage.world.pods(ns, "new").await?;
        let started = pods
            .iter()
            .any(|pod| pod["status"]["containerStatuses"][0]["started"] == true);
        ensure!(
            !pods.is_empty() && !started,
            "expected a pod whose runtime does not start"
        );
        anyhow::Ok(())
    }
    .await;
    scale(stage, SYSTEM, "sealroom-canary", 2).await?;
    let cured = async {
        well_again(stage).await?;
        for name in ["new", "strict"] {
            stage
                .world
                .wait_condition(ns, name, "Ready", "True", "", READY)
                .await?;
        }
        anyhow::Ok(())
    }
    .await;
    room.leave().await?;
    held?;
    cured.context("failed to get well again by itself")
}

/// Applies a policy to the canaries, waits for the unknown, takes the policy away, waits for the known.
async fn broken_by(stage: &Stage, spec: serde_json::Value) -> Result<String> {
    stage.assistant().await?;
    stage.short_rounds().await?;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "break-a-control", "namespace": SYSTEM}, "spec": spec,
    });
    stage.world.apply(&policy.to_string()).await?;
    let unknown = unknown_but_serving(stage).await;
    stage
        .world
        .kubectl(&["delete", "networkpolicy", "-n", SYSTEM, "break-a-control"])
        .await?;
    let cured = well_again(stage).await;
    let message = unknown?;
    cured?;
    Ok(message)
}

async fn no_dial(stage: &Stage) -> Result<()> {
    // Everything but the gates: DNS, the API server and the answers to the operator go on.
    let spec = json!({
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "canary"}},
        "policyTypes": ["Egress"],
        "egress": [
            {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]},
            {"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]},
        ],
    });
    let message = broken_by(stage, spec).await?;
    ensure!(
        message.contains("could not reach the gate") && !message.contains("does not answer"),
        "expected the failed control in {message:?}"
    );
    Ok(())
}

async fn no_listener(stage: &Stage) -> Result<()> {
    let spec = json!({
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "canary"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": 8081}]}],
    });
    // The chart's own policy for the canaries lets everybody reach the listener, and policies add up.
    let chart = stage
        .world
        .kubectl(&[
            "get",
            "networkpolicy",
            "-n",
            SYSTEM,
            "sealroom-canary",
            "-o",
            "json",
        ])
        .await?;
    stage
        .world
        .kubectl(&["delete", "networkpolicy", "-n", SYSTEM, "sealroom-canary"])
        .await?;
    let message = broken_by(stage, spec).await;
    let mut saved: serde_json::Value = serde_json::from_str(&chart.stdout)?;
    for field in [
        "resourceVersion",
        "uid",
        "creationTimestamp",
        "generation",
        "managedFields",
    ] {
        if let Some(metadata) = saved["metadata"].as_object_mut() {
            metadata.remove(field);
        }
    }
    stage.world.apply(&saved.to_string()).await?;
    let message = message?;
    ensure!(
        message.contains("does not answer the operator"),
        "expected the failed control in {message:?}"
    );
    Ok(())
}

async fn no_dns(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    stage.short_rounds().await?;
    scale(stage, "kube-system", "coredns", 0).await?;
    // The client cannot resolve the Service now, so only the condition is asked.
    let unknown = stage
        .world
        .wait_condition(
            &model.namespace,
            &model.name,
            "Sealed",
            "Unknown",
            "ControlFailed",
            ROUND,
        )
        .await;
    scale(stage, "kube-system", "coredns", 1).await?;
    let cured = well_again(stage).await;
    let message = unknown?.message;
    cured?;
    ensure!(
        message.contains("dns"),
        "expected the failed control in {message:?}"
    );
    Ok(())
}
