//! Sessions of a server with several pods.

use std::time::Duration;

use anyhow::Result;

use super::place::{Place, delete};
use crate::kube::wait;
use crate::suite::stage::Stage;

/// Has two pods, each of which knows its own sessions only.
const TWINS: &str = "twins";
const LONG: Duration = Duration::from_secs(120);

pub(super) async fn stays(stage: &Stage) -> Result<()> {
    let done = over_many_connections(stage, stage.helper().await?).await;
    delete(stage, &[TWINS]).await?;
    done
}

/// Twenty connections of a session after its first, each of which the other pod would answer with 404.
async fn over_many_connections(stage: &Stage, place: &Place) -> Result<()> {
    let mut server = place.server(TWINS);
    server["spec"]["replicas"] = 2.into();
    stage.apply(&[server]).await?;
    place.ready(stage, TWINS).await?;
    wait(LONG, "both pods serve", async || {
        let told = place.statuses(stage, TWINS).await?;
        let serve = told.iter().filter(|line| line.starts_with("200 "));
        Ok((serve.count() == 2).then_some(()))
    })
    .await?;
    let config = place.config(TWINS, "legacy");
    place.checks(stage, &config, &["session"]).await
}
