//! A cluster whose network plugin enforces nothing.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::fixtures::Model;
use super::{Case, Needs, Stage};
use crate::objects::condition_of;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "unenforced/a_model_is_never_served",
        needs: Needs::Unenforced,
        run: |s| Box::pin(never_served(s)),
    }]
}

async fn never_served(stage: &Stage) -> Result<()> {
    let ns = "unenforced";
    let room = stage.room(ns).await?;
    stage
        .world
        .apply(
            &Model::new(ns, "caller", stage.artifact())
                .runtime(&stage.images.dialler)
                .yaml(),
        )
        .await?;
    let found = stage
        .world
        .wait_condition(
            ns,
            "caller",
            "Sealed",
            "False",
            "NotEnforced",
            Duration::from_secs(120),
        )
        .await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let pods = stage.world.pods(ns, "caller").await?;
    let started = pods
        .iter()
        .any(|pod| pod["status"]["containerStatuses"][0]["started"] == true);
    let ready = pods
        .iter()
        .any(|pod| condition_of(pod, "Ready").status == "True");
    let packets = room.packets().await?;
    let exists = stage
        .world
        .get(&format!(
            "/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies/sealroom-sealed"
        ))
        .await?
        .is_some();
    room.leave().await?;
    found?;
    ensure!(
        exists,
        "expected the policy to exist: it is the enforcement that is missing"
    );
    ensure!(!started && !ready, "expected the runtime never to start");
    ensure!(packets == 0, "expected no packet, {packets} came");
    Ok(())
}
