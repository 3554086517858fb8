//! An operator that starts again, as every upgrade makes it.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Case, Needs, Stage};
use crate::objects::API;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "restart/an_operator_that_starts_again_changes_nothing",
        needs: Needs::BothLocks,
        run: |s| Box::pin(changes_nothing(s)),
    }]
}

const SYSTEM: &str = "sealroom-system";

async fn changes_nothing(stage: &Stage) -> Result<()> {
    let model = stage.settled().await?;
    let before = look(stage).await?;
    let restart = [
        "rollout",
        "restart",
        "-n",
        SYSTEM,
        "deployment/sealroom-operator",
    ];
    stage.world.kubectl(&restart).await?;
    let target = "deployment/sealroom-operator";
    let done = ["rollout", "status", "-n", SYSTEM, target, "--timeout=55s"];
    stage.world.kubectl(&done).await?;
    // The new one leads, hears the gates, and what its predecessor wrote has ceased to count.
    tokio::time::sleep(Duration::from_secs(25)).await;
    let after = look(stage).await?;
    ensure!(
        before == after,
        "expected the same objects, untouched, got\n{before:#?}\nand then\n{after:#?}"
    );
    let status = stage.get_status(&model, "/v1/models").await;
    ensure!(status == Some(200), "expected it to serve, got {status:?}");
    Ok(())
}

/// Kind, name, UID and version of the assistant's objects: a write of any of them would show.
async fn look(stage: &Stage) -> Result<Vec<[String; 4]>> {
    let ns = stage.assistant().await?.namespace;
    let mut seen = vec![];
    for path in [
        format!("{API}/namespaces/{ns}/modeldeployments"),
        format!("{API}/namespaces/{ns}/modelartifacts"),
        format!("/apis/apps/v1/namespaces/{ns}/deployments"),
        format!("/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies"),
        format!("/api/v1/namespaces/{ns}/persistentvolumeclaims"),
        format!("/api/v1/namespaces/{ns}/pods"),
    ] {
        for object in stage.world.list(&path).await? {
            let text = |key: &str| match &object["metadata"][key] {
                Value::String(text) => text.clone(),
                _ => String::new(),
            };
            let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
            seen.push([plural, text("name"), text("uid"), text("resourceVersion")]);
        }
    }
    Ok(seen)
}
