//! The end of a model.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::fixtures::Model;
use super::{Case, Needs, Stage};
use crate::kube::wait;

pub(super) fn cases() -> Vec<Case> {
    let case = |name, needs| Case {
        name,
        needs,
        run: |s| Box::pin(deleted(s)),
    };
    vec![
        case(
            "delete/a_runtime_that_ignores_sigterm_gets_nothing_out_both_locks",
            Needs::BothLocks,
        ),
        case(
            "delete/a_runtime_that_ignores_sigterm_gets_nothing_out_network_lock_alone",
            Needs::NetworkLockAlone,
        ),
    ]
}

const READY: Duration = Duration::from_secs(240);
const GONE: Duration = Duration::from_secs(120);

async fn deleted(stage: &Stage) -> Result<()> {
    let ns = "delete-stubborn";
    let room = stage.room(ns).await?;
    let model = Model::new(ns, "stubborn", stage.artifact())
        .runtime(&stage.images.dialler)
        .set("/drainSeconds", 10);
    stage.world.apply(&model.yaml()).await?;
    stage
        .world
        .wait_condition(ns, "stubborn", "Ready", "True", "", READY)
        .await?;
    stage
        .world
        .kubectl(&[
            "delete",
            "modeldeployment",
            "-n",
            ns,
            "stubborn",
            "--wait=false",
        ])
        .await?;
    let gone = wait(GONE, "the model and its pods go", async || {
        let pods = stage.world.pods(ns, "stubborn").await?;
        let object = stage.world.model(ns, "stubborn").await?;
        Ok((pods.is_empty() && object.is_none()).then_some(()))
    })
    .await;
    let packets = room.packets().await?;
    let policy_goes = wait(GONE, "sealroom-sealed go", async || {
        let path =
            format!("/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies/sealroom-sealed");
        Ok(stage.world.get(&path).await?.is_none().then_some(()))
    })
    .await;
    room.leave().await?;
    gone?;
    ensure!(packets == 0, "expected no packet, {packets} came");
    ensure!(
        policy_goes.is_ok(),
        "expected sealroom-sealed to go after the last sealed pod"
    );
    Ok(())
}
