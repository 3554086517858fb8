//! What is wrong with the object or stands beside it.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{CURED, SOON, bad, ends_in};
use crate::asking::GLANCE;
use crate::kube::wait;
use crate::suite::Stage;
use crate::suite::load::client;
use crate::suite::stage::Served;

pub(super) async fn tag(stage: &Stage) -> Result<()> {
    let ns = "refuse-tag";
    let room = stage.room(ns).await?;
    let name = stage.artifact().split('@').next().unwrap_or_default();
    let model = bad(ns, &format!("{name}:latest"));
    let refused = stage.world.apply(&model.yaml()).await;
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

pub(super) async fn taken_name(stage: &Stage) -> Result<()> {
    let ns = "refuse-name";
    let room = stage.room(ns).await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "bad", "namespace": ns},
        "spec": {"selector": {"app": "somebody-else"}, "ports": [{"port": 80}]},
    });
    stage.world.apply(&service.to_string()).await?;
    let told = ("Stalled", "True", "NameConflict");
    let ended = ends_in(stage, ns, bad(ns, stage.artifact()), told).await;
    let path = format!("/api/v1/namespaces/{ns}/services/bad");
    let service = stage.world.get(&path).await?.unwrap_or_default();
    room.leave().await?;
    ended?;
    ensure!(
        service["spec"]["selector"]["app"] == "somebody-else",
        "expected the other Service to stay as it was"
    );
    Ok(())
}

pub(super) async fn allow_dns(stage: &Stage) -> Result<()> {
    let ns = "refuse-dns";
    let room = stage.room(ns).await?;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "allow-dns", "namespace": ns},
        "spec": {
            "podSelector": {}, "policyTypes": ["Egress"],
            "egress": [{"ports": [{"protocol": "UDP", "port": 53}]}],
        },
    });
    stage.world.apply(&policy.to_string()).await?;
    let told = ("Sealed", "False", "PolicyWidens");
    let ended = ends_in(stage, ns, bad(ns, stage.artifact()), told).await;
    room.leave().await?;
    let message = ended?.message;
    ensure!(
        message.contains("allow-dns") && message.contains("sealroom.dev/sealed"),
        "expected name and cure in {message:?}"
    );
    Ok(())
}

/// Nobody is let in before there is a key, and then only who has it.
pub(super) async fn late_keys(stage: &Stage) -> Result<()> {
    let ns = "refuse-keys";
    let room = stage.room(ns).await?;
    client(stage, ns).await?;
    let model = bad(ns, stage.artifact()).set("/access/apiKeys/secretRef/name", "late-keys");
    let ended = ends_in(stage, ns, model, ("Stalled", "True", "SecretMissing")).await;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late-keys", "namespace": ns},
        "stringData": {"tests": "a-key-of-the-tests"},
    });
    stage.world.apply(&secret.to_string()).await?;
    let ready = stage
        .world
        .wait_condition(ns, "bad", "Ready", "True", "", CURED);
    let cured = ready.await;
    let url = format!("{}/v1/models", Served::of(ns, "bad").url);
    let mut said = vec![];
    for key in [None, Some("another"), Some("a-key-of-the-tests")] {
        // The Service leads to it a moment after it is ready.
        let asked = wait(SOON, "an answer", async || {
            let answer = stage.world.fetch(ns, &url, None, key, GLANCE).await;
            answer.map(Some)
        });
        said.push(asked.await.ok().map(|(status, _)| status));
    }
    room.leave().await?;
    let message = ended?.message;
    ensure!(
        message.contains("late-keys"),
        "expected the Secret's name in {message:?}"
    );
    cured?;
    ensure!(
        said == [Some(401), Some(401), Some(200)],
        "expected the key to decide, got {said:?}"
    );
    Ok(())
}
