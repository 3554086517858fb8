//! The kernel lock, from inside the runtime's container.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::fixtures::Model;
use super::{Case, Needs, Stage};
use crate::kube::wait;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "lock/no_family_and_no_io_uring_under_the_lock",
            needs: Needs::BothLocks,
            run: |s| Box::pin(under_the_lock(s)),
        },
        Case {
            name: "lock/the_same_program_finds_openings_without_it",
            needs: Needs::NetworkLockAlone,
            run: |s| Box::pin(without_it(s)),
        },
    ]
}

/// What the program that tries every family printed before it began to listen.
async fn findings(stage: &Stage, namespace: &str) -> Result<String> {
    let room = stage.room(namespace).await?;
    let model = Model::new(namespace, "families", stage.artifact()).runtime(&stage.images.families);
    stage.world.apply(&model.yaml()).await?;
    let log = wait(
        Duration::from_secs(180),
        "the findings in the log",
        async || {
            for pod in stage.world.pods(namespace, "families").await? {
                let name = crate::world::name_of(&pod).to_owned();
                if let Ok(log) = stage
                    .world
                    .kubectl(&["logs", "-n", namespace, &name, "-c", "runtime"])
                    .await
                    && log.stdout.contains("openings: ")
                {
                    return Ok(Some(log.stdout));
                }
            }
            Ok(None)
        },
    )
    .await;
    room.leave().await?;
    log
}

async fn under_the_lock(stage: &Stage) -> Result<()> {
    let log = findings(stage, "lock-on").await?;
    ensure!(log.contains("openings: []"), "expected no opening in {log}");
    ensure!(
        log.contains("inet: Permission denied"),
        "expected EACCES in {log}"
    );
    Ok(())
}

async fn without_it(stage: &Stage) -> Result<()> {
    let log = findings(stage, "lock-off").await?;
    ensure!(
        log.contains("openings: [socket family 2"),
        "expected the program to find INET sockets in {log}"
    );
    Ok(())
}
