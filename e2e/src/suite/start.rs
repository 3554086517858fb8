//! The first instruction of a runtime.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::fixtures::{Model, tool_pod};
use super::{Case, Needs, Stage};
use crate::kube::wait;
use crate::objects::condition_of;

/// Tests that expect no packet.
pub(super) fn silent() -> Vec<Case> {
    vec![
        Case {
            name: "start/fifty_pods_that_dial_first_both_locks",
            needs: Needs::BothLocks,
            run: |s| Box::pin(sealed(s, "start-both")),
        },
        Case {
            name: "start/fifty_pods_that_dial_first_network_lock_alone",
            needs: Needs::NetworkLockAlone,
            run: |s| Box::pin(sealed(s, "start-network")),
        },
    ]
}

/// Tests that let packets out.
pub(super) fn loud() -> Vec<Case> {
    vec![
        Case {
            name: "start/the_same_image_unsealed_gets_out_fifty_times",
            needs: Needs::BothLocks,
            run: |s| Box::pin(unsealed(s)),
        },
        Case {
            name: "start/without_the_start_up_proof_a_leak_can_be_seen",
            needs: Needs::BothLocks,
            run: |s| Box::pin(race(s)),
        },
    ]
}

const PODS: u32 = 50;

/// Namespace, policy, artifact and pods are all made in the same instant.
async fn sealed(stage: &Stage, ns: &str) -> Result<()> {
    let room = stage.room(ns).await?;
    let model = Model::new(ns, "fifty", stage.artifact())
        .runtime(&stage.images.dialler)
        .replicas(PODS);
    stage.world.apply(&model.yaml()).await?;
    let all = wait(Duration::from_secs(420), "fifty ready pods", async || {
        let object = stage.world.model(ns, "fifty").await?.unwrap_or_default();
        let ready = object["status"]["readyReplicas"].as_u64().unwrap_or(0);
        Ok(
            (ready == u64::from(PODS) && condition_of(&object, "Sealed").status == "True")
                .then_some(()),
        )
    })
    .await;
    // Every runtime has run and dialled by now, ten times a second.
    let packets = room.packets().await?;
    room.leave().await?;
    all?;
    ensure!(
        packets == 0,
        "expected no packet from {PODS} pods, {packets} came"
    );
    Ok(())
}

async fn unsealed(stage: &Stage) -> Result<()> {
    let ns = "start-unsealed";
    let room = stage.room(ns).await?;
    let pods: Vec<_> = (0..PODS)
        .map(|n| {
            tool_pod(
                ns,
                &format!("free-{n}"),
                &stage.images.dialler,
                "free",
                &["--host", "/tmp/runtime.sock"],
            )
        })
        .collect();
    stage.world.apply(&pods.join("\n---\n")).await?;
    let seen = wait(Duration::from_secs(240), "fifty callers", async || {
        let names = stage.heard("hostile free-").await?;
        Ok((names.len() == PODS as usize).then_some(()))
    })
    .await;
    let heard = stage.heard("hostile free-").await?.len();
    room.leave().await?;
    if seen.is_err() {
        bail!("expected to hear {PODS} pods, heard {heard}");
    }
    Ok(())
}

/// What the start-up proof is for: pods made in the same instant as the policy that should hold them.
async fn race(stage: &Stage) -> Result<()> {
    const TRIES: u32 = 60;
    let ns = "start-race";
    let room = stage.room(ns).await?;
    let mut objects = vec![];
    for n in 0..TRIES {
        let name = format!("race-{n}");
        objects.push(
            serde_json::json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": name, "namespace": ns},
                "spec": {"podSelector": {"matchLabels": {"app": name}}, "policyTypes": ["Egress"]},
            })
            .to_string(),
        );
        objects.push(tool_pod(
            ns,
            &name,
            &stage.images.dialler,
            &name,
            &["--host", "/tmp/runtime.sock"],
        ));
    }
    stage.world.apply(&objects.join("\n---\n")).await?;
    wait(Duration::from_secs(240), "all pods running", async || {
        let pods = stage
            .world
            .list(&format!("/api/v1/namespaces/{ns}/pods"))
            .await?;
        let running = pods
            .iter()
            .filter(|pod| pod["status"]["phase"] == "Running")
            .count();
        Ok((running == TRIES as usize).then_some(()))
    })
    .await?;
    let leaked = stage.heard("hostile race-").await?.len();
    room.leave().await?;
    if leaked == 0 {
        println!(
            "e2e note   without the start-up proof no leak could be provoked in {TRIES} tries"
        );
    } else {
        println!("e2e note   without the start-up proof {leaked} of {TRIES} pods got out");
    }
    Ok(())
}
