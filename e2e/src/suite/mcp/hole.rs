//! Somebody opens a hole while servers call home.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::dialled::home;
use super::place::{AGENT, BRAIN, HELPER, NS, Place, expect, object};
use crate::objects::Subject;
use crate::suite::fixtures::egress_hole;
use crate::suite::hole::{ENDED, SEEN};
use crate::suite::stage::{Room, Stage};

/// Calls home, and has a declared way out: no kernel lock holds it, so that what the network's does is seen alone.
const CALLER: &str = "caller";
const SOON: Duration = Duration::from_secs(40);
const RECOVERY: Duration = Duration::from_secs(240);

pub(super) async fn caught(stage: &Stage) -> Result<()> {
    let room = stage.room(NS).await?;
    let done = inside(stage, &room).await;
    room.leave().await?;
    done
}

async fn inside(stage: &Stage, room: &Room<'_>) -> Result<()> {
    let place = stage.helper().await?;
    let mut caller = place.server(CALLER);
    caller["spec"]["env"] = json!([{"name": "CALL_HOME", "value": home()}]);
    caller["spec"]["egress"] = json!([{
        "to": [{"podSelector": {"matchLabels": {"app": AGENT}}}],
        "ports": [{"port": 9999, "protocol": "TCP"}],
    }]);
    stage.apply(&[caller]).await?;
    place.ready(stage, CALLER).await?;
    let object = object(stage, CALLER).await?;
    expect(&object, "Sealed", "True", "DeclaredEgressOnly")?;
    let locks = &object["status"]["seal"]["locks"];
    ensure!(
        *locks == json!(["NetworkPolicy"]),
        "expected the network's lock alone, got {locks}"
    );
    echoes(stage, place).await?;
    let before = room.packets().await?;
    ensure!(
        before == 0,
        "expected no packet while sealed, {before} came"
    );

    stage
        .world
        .apply(&egress_hole(NS, "everything", None))
        .await?;
    let shut = shuts(stage, place, room).await;
    stage
        .world
        .kubectl(&["delete", "networkpolicy", "-n", NS, "everything"])
        .await?;
    shut?;

    for server in [HELPER, CALLER] {
        place.ready(stage, server).await?;
    }
    let world = &stage.world;
    world
        .wait_condition(NS, BRAIN, "Ready", "True", "", RECOVERY)
        .await?;
    let sealed = room.packets().await?;
    echoes(stage, place).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let later = room.packets().await?;
    ensure!(
        later == sealed,
        "expected no packet once they are sealed again, {} came",
        later - sealed
    );
    Ok(())
}

/// Both answer, and the one that has a model asks it.
async fn echoes(stage: &Stage, place: &Place) -> Result<()> {
    for (server, checks) in [(CALLER, &["echo"][..]), (HELPER, &["echo", "ask"])] {
        let mut config = place.config(server, "auto");
        config["phrase"] = "again".into();
        place.serves(stage, &config, checks).await?;
    }
    Ok(())
}

/// They are seen open, refuse, and are ended: after that nothing comes out, although the hole is there.
async fn shuts(stage: &Stage, place: &Place, room: &Room<'_>) -> Result<()> {
    let world = &stage.world;
    for server in [CALLER, HELPER].map(|name| Subject::server(NS, name)) {
        let opened = world
            .wait_for(server, "Sealed", "False", "EgressOpen", SEEN)
            .await?;
        ensure!(
            opened.message.contains("canary"),
            "expected what was reached in {:?}",
            opened.message
        );
        world.wait_for(server, "Ready", "False", "", SOON).await?;
    }
    // The bound for the end of their processes is three seconds after the opening was seen, where a processor is free.
    let (shut, took) = room.still().await?;
    for server in [CALLER, HELPER] {
        let told = place.statuses(stage, server).await?;
        ensure!(
            !told.is_empty() && told.iter().all(|line| line.starts_with("503 ")),
            "expected {server} to refuse, got {told:?}"
        );
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    let later = room.packets().await?;
    println!(
        "e2e note   {shut} packets came out between the hole and the end of the server, the last {:.1} s after both were shut",
        took.as_secs_f64()
    );
    ensure!(
        took < ENDED,
        "expected the server to end, its packets came for {} s",
        took.as_secs()
    );
    // That the server dials is seen by what got out before it was caught.
    ensure!(
        shut > 0 && later == shut,
        "expected packets until the server was shut and none after, {shut} came and then {}",
        later - shut
    );
    Ok(())
}
