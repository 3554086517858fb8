//! Somebody opens a hole.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::fixtures::{Model, egress_hole};
use super::stage::Served;
use super::{Case, Needs, Stage};
use crate::kube::wait;

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "hole/one_address_no_probe_covers_shuts_the_model",
            needs,
            run: |s| Box::pin(narrow(s)),
        },
        Case {
            name: "hole/a_wide_one_is_seen_by_the_probe_too",
            needs,
            run: |s| Box::pin(wide(s)),
        },
    ]
}

/// Tests that may let packets out.
pub(super) fn loud() -> Vec<Case> {
    vec![
        Case {
            name: "hole/a_runtime_that_ends_in_the_open_does_not_start_again_both_locks",
            needs: Needs::BothLocks,
            run: |s| Box::pin(no_restart(s)),
        },
        Case {
            name: "hole/a_runtime_that_ends_in_the_open_does_not_start_again_network_lock_alone",
            needs: Needs::NetworkLockAlone,
            run: |s| Box::pin(no_restart(s)),
        },
    ]
}

const SOON: Duration = Duration::from_secs(40);
const RECOVERY: Duration = Duration::from_secs(90);

/// Waits until the model is not served any more and a pod that is asked past the Service refuses, and checks that
/// none serves. A pod that ends, or has not begun, does not answer.
async fn refuses(stage: &Stage, model: &Served) -> Result<()> {
    wait(SOON, "requests refused", async || {
        let status = stage.get_status(model, "/v1/models").await;
        Ok((status != Some(200)).then_some(()))
    })
    .await?;
    let (address, status) = wait(SOON, "a pod that refuses", async || {
        let mut refusal = None;
        for pod in stage.world.pods(&model.namespace, &model.name).await? {
            let Some(address) = pod["status"]["podIP"].as_str() else {
                continue;
            };
            let past = Served {
                url: format!("http://{address}:8080"),
                ..model.clone()
            };
            if let Some(status) = stage.get_status(&past, "/v1/models").await {
                let answer = Some((address.to_owned(), status));
                if status != 503 {
                    return Ok(answer);
                }
                refusal = answer;
            }
        }
        Ok(refusal)
    })
    .await?;
    ensure!(
        status == 503,
        "expected {address} to refuse, it said {status}"
    );
    Ok(())
}

async fn recovers(stage: &Stage, model: &Served) -> Result<()> {
    stage
        .world
        .wait_condition(&model.namespace, &model.name, "Ready", "True", "", RECOVERY)
        .await?;
    let status = stage.get_status(model, "/v1/models").await;
    ensure!(
        status == Some(200),
        "expected it to serve again, it said {status:?}"
    );
    Ok(())
}

async fn narrow(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    let (ns, name) = (model.namespace.as_str(), model.name.as_str());
    stage
        .world
        .apply(&egress_hole(
            ns,
            "one-address",
            Some(&format!("{}/32", stage.unprobed_address())),
        ))
        .await?;
    let closed = stage
        .world
        .wait_condition(ns, name, "Sealed", "False", "PolicyWidens", SOON)
        .await;
    let refused = refuses(stage, &model).await;
    stage
        .world
        .kubectl(&["delete", "networkpolicy", "-n", ns, "one-address"])
        .await?;
    let closed = closed?;
    ensure!(
        closed.message.contains("one-address"),
        "expected the policy's name in {:?}",
        closed.message
    );
    refused?;
    told(stage, &model, "PolicyWidens", "one-address").await?;
    recovers(stage, &model).await
}

/// An Event on the object with this reason, whose text contains `says`.
async fn told(stage: &Stage, model: &Served, reason: &str, says: &str) -> Result<()> {
    let path = format!(
        "/apis/events.k8s.io/v1/namespaces/{}/events",
        model.namespace
    );
    wait(SOON, "the Event", async || {
        let events = stage.world.list(&path).await?;
        let found = events.iter().any(|event| {
            event["regarding"]["name"] == model.name.as_str()
                && event["reason"] == reason
                && event["note"]
                    .as_str()
                    .is_some_and(|note| note.contains(says))
        });
        Ok(found.then_some(()))
    })
    .await
}

async fn wide(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    shuts_and_recovers(stage, &model).await
}

/// Everything is opened: a probe gets out, the model is shut, and it serves again by itself when that is over.
pub(super) async fn shuts_and_recovers(stage: &Stage, model: &Served) -> Result<()> {
    let (ns, name) = (model.namespace.as_str(), model.name.as_str());
    stage
        .world
        .apply(&egress_hole(ns, "everything", None))
        .await?;
    let opened = stage
        .world
        .wait_condition(ns, name, "Sealed", "False", "EgressOpen", RECOVERY)
        .await;
    let refused = refuses(stage, model).await;
    stage
        .world
        .kubectl(&["delete", "networkpolicy", "-n", ns, "everything"])
        .await?;
    let opened = opened?;
    ensure!(
        opened.message.contains("canary"),
        "expected what was reached in {:?}",
        opened.message
    );
    refused?;
    recovers(stage, model).await
}

/// A runtime that dials all the time; a policy lets everything out; once the model is shut it answers nobody and
/// nothing more comes, although the kubelet and the Deployment would start it again.
async fn no_restart(stage: &Stage) -> Result<()> {
    let ns = "hole-restart";
    // The client that asks comes with it.
    stage.assistant().await?;
    let room = stage.room(ns).await?;
    stage
        .world
        .apply(
            &Model::new(ns, "caller", stage.artifact())
                .runtime(&stage.images.dialler)
                .from_home()
                .yaml(),
        )
        .await?;
    stage
        .world
        .wait_condition(ns, "caller", "Ready", "True", "", Duration::from_secs(90))
        .await?;
    let caller = Served::of(ns, "caller");
    let serves = stage.get_status(&caller, "/v1/models").await;
    ensure!(
        serves == Some(200),
        "expected it to serve first, it said {serves:?}"
    );
    let before = room.packets().await?;
    ensure!(
        before == 0,
        "expected no packet while sealed, {before} came"
    );
    stage
        .world
        .apply(&egress_hole(ns, "everything", None))
        .await?;
    stage
        .world
        .wait_condition(ns, "caller", "Sealed", "False", "", SOON)
        .await?;
    // The bound for the engine's end is three seconds after the opening was seen.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let shut = room.packets().await?;
    refuses(stage, &caller).await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    refuses(stage, &caller).await?;
    let later = room.packets().await?;
    let served = stage.world.condition(ns, "caller", "Available").await?;
    room.leave().await?;
    // That the same image gets out where nothing holds it is a test of its own.
    println!("e2e note   {shut} packets came out between the hole and the end of the runtime");
    ensure!(
        later == shut,
        "expected no packet after the model was shut, {} came",
        later - shut
    );
    ensure!(
        served.status != "True",
        "expected nothing to serve in the open, got {served:?}"
    );
    Ok(())
}
