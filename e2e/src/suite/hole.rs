//! Somebody opens a hole.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::fixtures::{Model, egress_hole};
use super::stage::Served;
use super::{Case, Needs, Stage};
use crate::asking::GLANCE;
use crate::kube::wait;
use crate::objects::Subject;

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

/// For an opening to be seen.
pub(super) const SEEN: Duration = Duration::from_secs(90);
/// For the last packet to come after that, while a busy machine ends who sends them.
pub(super) const ENDED: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_secs(40);
const RECOVERY: Duration = Duration::from_secs(240);

/// Waits until the model is not served any more and a pod that is asked past the Service says something, each for so
/// long, and checks that it refuses and none serves. A pod that ends, or has not begun, does not answer.
pub(super) async fn refuses(stage: &Stage, model: &Served, within: Duration) -> Result<()> {
    let (world, client) = (&stage.world, &model.client);
    let url = format!("{}/v1/models", model.url);
    wait(within, "requests refused", async || {
        world.refusal(client, &url, GLANCE).await
    })
    .await?;
    let of = Subject::model(&model.namespace, &model.name);
    let (address, status) = wait(within, "a pod that refuses", async || {
        world.ask_pods(client, of, GLANCE).await
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
    stage.answers(model).await
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
        .wait_condition(ns, name, "Sealed", "False", "PolicyWidens", SEEN)
        .await;
    let refused = refuses(stage, &model, SOON).await;
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
        .wait_condition(ns, name, "Sealed", "False", "EgressOpen", SEEN)
        .await;
    let refused = refuses(stage, model, SOON).await;
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
        .wait_condition(ns, "caller", "Ready", "True", "", RECOVERY)
        .await?;
    let caller = Served::of(ns, "caller");
    stage.answers(&caller).await?;
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
        .wait_condition(ns, "caller", "Sealed", "False", "", SEEN)
        .await?;
    // The bound for the engine's end is three seconds after the opening was seen, where a processor is free.
    let (shut, took) = room.still().await?;
    refuses(stage, &caller, SOON).await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    refuses(stage, &caller, SOON).await?;
    let later = room.packets().await?;
    let served = stage.world.condition(ns, "caller", "Available").await?;
    room.leave().await?;
    // That the same image gets out where nothing holds it is a test of its own.
    println!(
        "e2e note   {shut} packets came out between the hole and the end of the runtime, the last {:.1} s after the hole was seen",
        took.as_secs_f64()
    );
    ensure!(
        took < ENDED,
        "expected the runtime to end, its packets came for {} s",
        took.as_secs()
    );
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
