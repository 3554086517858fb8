//! Bad input: each ends in the reason that says what to do, and asks the API server for little.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::fixtures::Model;
use super::idle::requests_of_the_operator;
use super::{Case, Needs, Stage};
use crate::registry::Registry;
use crate::world::Condition;

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "refuse/a_tag",
            needs,
            run: |s| Box::pin(tag(s)),
        },
        Case {
            name: "refuse/a_digest_that_is_not_there",
            needs,
            run: |s| Box::pin(absent(s)),
        },
        Case {
            name: "refuse/an_undeclared_registry",
            needs,
            run: |s| Box::pin(undeclared(s)),
        },
        Case {
            name: "refuse/a_wrong_password_until_it_is_right",
            needs,
            run: |s| Box::pin(wrong_password(s)),
        },
        Case {
            name: "refuse/something_that_is_no_gguf",
            needs,
            run: |s| Box::pin(not_gguf(s)),
        },
        Case {
            name: "refuse/a_volume_that_is_too_small",
            needs,
            run: |s| Box::pin(small_volume(s)),
        },
        Case {
            name: "refuse/a_secret_that_comes_later",
            needs,
            run: |s| Box::pin(late_secret(s)),
        },
        Case {
            name: "refuse/a_name_that_somebody_else_has",
            needs,
            run: |s| Box::pin(taken_name(s)),
        },
        Case {
            name: "refuse/a_namespace_that_lets_everybody_ask_dns",
            needs,
            run: |s| Box::pin(allow_dns(s)),
        },
    ]
}

const SOON: Duration = Duration::from_secs(60);

/// At most six requests a minute once the object has stood still for a minute.
async fn keeps_quiet(stage: &Stage) -> Result<()> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    let requests = requests_of_the_operator(stage, Duration::from_secs(60)).await?;
    let reconciling: Vec<_> = requests
        .into_iter()
        .filter(|request| !request.is_steady())
        .collect();
    ensure!(
        reconciling.len() <= 6,
        "expected at most 6 requests in a minute, got {}: {reconciling:?}",
        reconciling.len()
    );
    Ok(())
}

/// Applies a model in a room of its own and waits for the reason.
async fn ends_in(
    stage: &Stage,
    ns: &str,
    model: Model,
    kind: &str,
    status: &str,
    reason: &str,
) -> Result<Condition> {
    stage.world.apply(&model.yaml()).await?;
    stage
        .world
        .wait_condition(ns, "bad", kind, status, reason, SOON)
        .await
}

async fn tag(stage: &Stage) -> Result<()> {
    let room = stage.room("refuse-tag").await?;
    let tagged = format!(
        "{}:latest",
        stage.artifact().split('@').next().unwrap_or_default()
    );
    let refused = stage
        .world
        .apply(&Model::new("refuse-tag", "bad", &tagged).yaml())
        .await;
    room.leave().await?;
    let said = refused
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    ensure!(
        said.contains("by digest, not by tag"),
        "expected the API server to refuse the tag, it said {said:?}"
    );
    Ok(())
}

async fn absent(stage: &Stage) -> Result<()> {
    let ns = "refuse-absent";
    let room = stage.room(ns).await?;
    let absent = format!(
        "{}@sha256:{}",
        stage.artifact().split('@').next().unwrap_or_default(),
        "0".repeat(64)
    );
    let ended = ends_in(
        stage,
        ns,
        Model::new(ns, "bad", &absent),
        "ArtifactReady",
        "False",
        "NotFound",
    )
    .await;
    room.leave().await?;
    ended.map(drop)
}

async fn undeclared(stage: &Stage) -> Result<()> {
    let ns = "refuse-undeclared";
    let room = stage.room(ns).await?;
    let foreign = stage
        .artifact()
        .replacen("registry.internal:5000", "registry.example.org", 1);
    let ended = ends_in(
        stage,
        ns,
        Model::new(ns, "bad", &foreign),
        "Stalled",
        "True",
        "RegistryNotDeclared",
    )
    .await;
    let quiet = keeps_quiet(stage).await;
    room.leave().await?;
    ensure!(
        ended?.message.contains("registry.example.org"),
        "expected the host in the message"
    );
    quiet
}

/// A registry Secret of this name with this password.
async fn credentials(stage: &Stage, ns: &str, name: &str, auth: &str) -> Result<()> {
    let config = json!({"auths": {"registry.internal:5000": {"auth": auth}}}).to_string();
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), config)?;
    stage.world.pull_secret(ns, name, file.path()).await
}

/// The right one, from the cluster's own environment.
fn right_auth(stage: &Stage) -> Result<String> {
    let path = stage
        .world
        .environment
        .registry_auth
        .clone()
        .unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
    Ok(config["auths"]["registry.internal:5000"]["auth"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

async fn wrong_password(stage: &Stage) -> Result<()> {
    let ns = "refuse-password";
    let room = stage.room(ns).await?;
    credentials(stage, ns, "other", "c2VhbHJvb206d3Jvbmc=").await?;
    let model = Model::new(ns, "bad", stage.artifact())
        .set("/artifact/pullSecrets", json!([{"name": "other"}]));
    let ended = ends_in(stage, ns, model, "ArtifactReady", "False", "Unauthorized").await;
    credentials(stage, ns, "other", &right_auth(stage)?).await?;
    // The kubelet brings a changed Secret into the pod within about a minute and a half.
    let cured = stage
        .world
        .wait_condition(
            ns,
            "bad",
            "ArtifactReady",
            "True",
            "Verified",
            Duration::from_secs(180),
        )
        .await;
    room.leave().await?;
    ended?;
    cured.map(drop)
}

async fn not_gguf(stage: &Stage) -> Result<()> {
    let ns = "refuse-format";
    let room = stage.room(ns).await?;
    let registry = Registry::new(&stage.world.environment)?;
    let image =
        crate::artifact::push_text(&registry, "models/no-model", "this is no model\n").await?;
    let ended = ends_in(
        stage,
        ns,
        Model::new(ns, "bad", &image),
        "ArtifactReady",
        "False",
        "NotGGUF",
    )
    .await;
    room.leave().await?;
    ended.map(drop)
}

async fn small_volume(stage: &Stage) -> Result<()> {
    let ns = "refuse-volume";
    let room = stage.room(ns).await?;
    let model = Model::new(ns, "bad", stage.artifact())
        .set("/delivery", json!({"type": "PersistentVolumeClaim", "persistentVolumeClaim": {"storageClassName": "short", "accessMode": "ReadWriteOnce"}}));
    let ended = ends_in(stage, ns, model, "ArtifactReady", "False", "VolumeTooSmall").await;
    room.leave().await?;
    ended.map(drop)
}

async fn late_secret(stage: &Stage) -> Result<()> {
    let ns = "refuse-secret";
    let room = stage.room(ns).await?;
    let model = Model::new(ns, "bad", stage.artifact())
        .set("/artifact/pullSecrets", json!([{"name": "late"}]));
    let ended = ends_in(stage, ns, model, "ArtifactReady", "False", "SecretMissing").await;
    credentials(stage, ns, "late", &right_auth(stage)?).await?;
    let cured = stage
        .world
        .wait_condition(
            ns,
            "bad",
            "ArtifactReady",
            "True",
            "Verified",
            Duration::from_secs(180),
        )
        .await;
    room.leave().await?;
    ensure!(
        ended?.message.contains("late"),
        "expected the Secret's name in the message"
    );
    cured.map(drop)
}

async fn taken_name(stage: &Stage) -> Result<()> {
    let ns = "refuse-name";
    let room = stage.room(ns).await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "bad", "namespace": ns},
        "spec": {"selector": {"app": "somebody-else"}, "ports": [{"port": 80}]},
    });
    stage.world.apply(&service.to_string()).await?;
    let ended = ends_in(
        stage,
        ns,
        Model::new(ns, "bad", stage.artifact()),
        "Stalled",
        "True",
        "NameConflict",
    )
    .await;
    let service = stage
        .world
        .get(&format!("/api/v1/namespaces/{ns}/services/bad"))
        .await?
        .unwrap_or_default();
    room.leave().await?;
    ended?;
    ensure!(
        service["spec"]["selector"]["app"] == "somebody-else",
        "expected the other Service to stay as it was"
    );
    Ok(())
}

async fn allow_dns(stage: &Stage) -> Result<()> {
    let ns = "refuse-dns";
    let room = stage.room(ns).await?;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "allow-dns", "namespace": ns},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"protocol": "UDP", "port": 53}]}]},
    });
    stage.world.apply(&policy.to_string()).await?;
    let ended = ends_in(
        stage,
        ns,
        Model::new(ns, "bad", stage.artifact()),
        "Sealed",
        "False",
        "PolicyWidens",
    )
    .await;
    room.leave().await?;
    let message = ended?.message;
    ensure!(
        message.contains("allow-dns") && message.contains("sealroom.dev/sealed"),
        "expected name and cure in {message:?}"
    );
    Ok(())
}
