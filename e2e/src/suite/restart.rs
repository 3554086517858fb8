//! An operator that starts again, as every upgrade makes it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Case, Needs, Stage};
use crate::kube::wait;
use crate::objects::API;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "restart/an_operator_that_starts_again_changes_nothing",
        needs: Needs::BothLocks,
        run: |s| Box::pin(changes_nothing(s)),
    }]
}

const SYSTEM: &str = "sealroom-system";
const OPERATOR: &str = "sealroom-operator";
/// For somebody to lead after the one before him: a lease that nobody gave back holds for a quarter of a minute.
const LEADS: Duration = Duration::from_secs(120);

async fn changes_nothing(stage: &Stage) -> Result<()> {
    let model = stage.settled().await?;
    let predecessor = leader(stage).await?;
    let predecessor = predecessor.context("failed to find who leads")?;
    let before = look(stage).await?;
    let target = format!("deployment/{OPERATOR}");
    let restart = ["rollout", "restart", "-n", SYSTEM, target.as_str()];
    stage.world.kubectl(&restart).await?;
    stage.world.rolled_out(SYSTEM, OPERATOR).await?;
    wait(LEADS, "the new one lead", async || {
        let now = leader(stage).await?;
        Ok(now.filter(|now| *now != predecessor))
    })
    .await?;
    // It hears the gates, and fifteen seconds later what its predecessor wrote has ceased to count.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = look(stage).await?;
    let both = before.iter().zip(&after);
    let changed: Vec<_> = both.filter(|(before, after)| before != after).collect();
    ensure!(
        changed.is_empty() && before.len() == after.len(),
        "expected {} objects, untouched, got {}, and before and after of those that changed: {}",
        before.len(),
        after.len(),
        serde_json::to_string_pretty(&changed)?
    );
    let status = stage.get_status(&model, "/v1/models").await;
    ensure!(status == Some(200), "expected it to serve, got {status:?}");
    Ok(())
}

/// Whose the operator's Lease is; `None` while it is nobody's.
async fn leader(stage: &Stage) -> Result<Option<String>> {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/{OPERATOR}");
    let lease = stage.world.get(&path).await?.unwrap_or_default();
    let holder = lease["spec"]["holderIdentity"].as_str();
    Ok(holder.filter(|one| !one.is_empty()).map(ToOwned::to_owned))
}

/// The assistant's objects, whole: a write of any of them would show, and by whom. Pods of the test are none of them.
async fn look(stage: &Stage) -> Result<Vec<Value>> {
    let ns = stage.assistant().await?.namespace;
    let mut seen = vec![];
    for path in [
        format!("{API}/namespaces/{ns}/modeldeployments"),
        format!("{API}/namespaces/{ns}/modelartifacts"),
        format!("/apis/apps/v1/namespaces/{ns}/deployments"),
        format!("/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies"),
        format!("/api/v1/namespaces/{ns}/persistentvolumeclaims"),
        format!("/api/v1/namespaces/{ns}/pods?labelSelector=sealroom.dev%2Fowner-uid"),
    ] {
        seen.extend(stage.world.list(&path).await?);
    }
    Ok(seen)
}
