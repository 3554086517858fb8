//! The kernel lock, from inside the runtime's container.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::fixtures::{Model, tool_pod};
use super::sockets::dialled;
use super::stage::Room;
use super::{Case, Needs, Stage};
use crate::kube::wait;
use crate::outside;
use crate::world::name_of;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "lock/no_family_and_no_io_uring_under_the_lock",
        needs: Needs::BothLocks,
        run: |s| Box::pin(under_the_lock(s)),
    }]
}

/// Lets packets out at its end.
pub(super) fn loud() -> Vec<Case> {
    vec![Case {
        name: "lock/without_it_the_same_program_finds_openings_and_no_echo_gets_out",
        needs: Needs::NetworkLockAlone,
        run: |s| Box::pin(without_it(s)),
    }]
}

/// The namespace of the pods without the lock.
const OFF: &str = "lock-off";
/// A pod there that nothing holds.
const FREE: &str = "free";

/// What the program that tries every family printed before it began to listen.
async fn findings(stage: &Stage, namespace: &str) -> Result<String> {
    let model = Model::new(namespace, "families", stage.artifact()).runtime(&stage.images.families);
    stage.world.apply(&model.yaml()).await?;
    wait(
        Duration::from_secs(180),
        "the findings in the log",
        async || {
            for pod in stage.world.pods(namespace, "families").await? {
                let logs = ["logs", "-n", namespace, name_of(&pod), "-c", "runtime"];
                if let Ok(log) = stage.world.kubectl(&logs).await
                    && log.stdout.contains("openings: ")
                {
                    return Ok(Some(log.stdout));
                }
            }
            Ok(None)
        },
    )
    .await
}

async fn under_the_lock(stage: &Stage) -> Result<()> {
    let room = stage.room("lock-on").await?;
    let log = findings(stage, "lock-on").await;
    room.leave().await?;
    let log = log?;
    ensure!(log.contains("openings: []"), "expected no opening in {log}");
    ensure!(
        log.contains("inet: Permission denied"),
        "expected EACCES in {log}"
    );
    Ok(())
}

async fn without_it(stage: &Stage) -> Result<()> {
    let room = stage.room(OFF).await?;
    let done = echoes(stage, &room).await;
    room.leave().await?;
    done
}

/// The network lock alone holds what asks for an echo: nothing comes back and nothing has arrived, while a pod beside it
/// that is not sealed gets a reply, by the same socket and from the same address.
async fn echoes(stage: &Stage, room: &Room<'_>) -> Result<()> {
    let world = &stage.world;
    let free = tool_pod(OFF, FREE, &stage.images.tool, FREE, &["tool", "idle"]);
    world.apply(&free).await?;
    let log = findings(stage, OFF).await?;
    ensure!(
        log.contains("socket family 2 "),
        "expected the program to find INET sockets in {log}"
    );
    for address in outside::ADDRESSES {
        let said = format!("icmp {address}: silence");
        ensure!(log.contains(&said), "expected {said:?} in {log}");
    }
    room.silent().await?;

    world.pods_ready(OFF, &[FREE]).await?;
    let mut to = vec![];
    for address in outside::ADDRESSES {
        to.push(SocketAddr::new(address.parse::<IpAddr>()?, 0));
    }
    for attempt in dialled(stage, (OFF, FREE), "icmp", &to).await? {
        ensure!(attempt.reached, "expected a reply, got {attempt:?}");
    }
    let packets = room.packets().await?;
    ensure!(
        packets >= 2,
        "expected to count an echo request over each family, {packets} packets came"
    );
    Ok(())
}
