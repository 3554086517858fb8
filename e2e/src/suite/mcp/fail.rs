//! A server's processes are killed, by one of their own and for want of memory.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{HELPER, NS, Place, delete};
use super::seen::restarts;
use crate::objects::Subject;
use crate::suite::stage::Stage;

/// Has little memory, and one process for all of its clients.
const HUNGRY: &str = "hungry";
/// How long the next processes take before they work: long enough for everybody to see that nobody does.
const LATE_SECONDS: u32 = 20;
const SOON: Duration = Duration::from_secs(40);
const RECOVERY: Duration = Duration::from_secs(240);

pub(super) async fn killed(stage: &Stage) -> Result<()> {
    let place = stage.helper().await?;
    ends(stage, place, HELPER, "die", "ServerFailing").await?;
    place
        .serves(stage, &config(place, HELPER), &["echo"])
        .await?;
    // What ended were children of the bridge: no container did.
    let restarts = restarts(stage, HELPER).await?;
    ensure!(
        restarts == 0,
        "expected no container to begin anew, {restarts} did"
    );
    Ok(())
}

pub(super) async fn exhausted(stage: &Stage) -> Result<()> {
    let done = hungry(stage).await;
    delete(stage, &[HUNGRY]).await?;
    done
}

/// The kernel ends the process that takes too much, or with cgroup v2 all of its container. In either case the call is
/// not made again.
async fn hungry(stage: &Stage) -> Result<()> {
    let place = stage.helper().await?;
    let mut server = place.server(HUNGRY);
    server["spec"]["resources"]["limits"] = json!({"memory": "256Mi"});
    server["spec"]["isolation"] = json!({"type": "Shared"});
    stage.apply(&[server]).await?;
    place.ready(stage, HUNGRY).await?;
    place
        .serves(stage, &config(place, HUNGRY), &["echo"])
        .await?;
    ends(stage, place, HUNGRY, "exhaust", "").await?;
    place
        .serves(stage, &config(place, HUNGRY), &["echo", "exhausted"])
        .await?;
    let restarts = restarts(stage, HUNGRY).await?;
    ensure!(
        restarts <= 1,
        "expected its container to begin anew once at most, {restarts} times it did"
    );
    println!("e2e note   out of memory once, containers that began anew: {restarts}");
    Ok(())
}

/// By a call that gets an error its processes end. It is not ready then, and comes back by itself.
async fn ends(stage: &Stage, place: &Place, name: &str, by: &str, reason: &str) -> Result<()> {
    let config = config(place, name);
    let begun = Instant::now();
    place.checks(stage, &config, &[by]).await?;
    let server = Subject::server(NS, name);
    let world = &stage.world;
    world
        .wait_for(server, "Ready", "False", reason, SOON)
        .await?;
    world
        .wait_for(server, "Ready", "True", "", RECOVERY)
        .await?;
    let seconds = begun.elapsed().as_secs();
    ensure!(
        seconds >= LATE_SECONDS.into(),
        "expected it to be away for {LATE_SECONDS} s, it was back after {seconds}"
    );
    Ok(())
}

fn config(place: &Place, name: &str) -> Value {
    let mut config = place.config(name, "auto");
    config["late_seconds"] = LATE_SECONDS.into();
    config["phrase"] = "again".into();
    config
}
