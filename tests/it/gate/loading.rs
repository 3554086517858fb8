//! An engine that finds no end before it serves.

use std::time::{Duration, Instant};

use sealroom::seal::lease::{Runtime, Word};
use sealroom::seal::wire::RuntimeFault;
use tokio::time::sleep;

use super::bed::{FakeLaunch, Gate, PATIENCE};
use super::engine::Engine;

#[tokio::test]
async fn an_engine_that_never_listens_hangs() {
    let mut gate = Gate::start(&["--start-seconds", "1"]).await;
    let mut launch = FakeLaunch::connect(&gate.path("lease.sock")).await;
    gate.prove().await;
    launch.wait_for(Word::Granted).await;
    // As long as nothing is started, nothing hangs.
    assert_eq!(gate.admin_status("/runtimez").await.0, 200);
    launch.say(&Runtime::Starting).await;
    gate.until("/runtimez", 503).await;
    let told = gate.admin_status("/runtimez").await;
    assert_eq!(told, (503, "the engine hangs".to_owned()));
    let report = gate.sealz().await;
    assert!(report.sealed);
    assert_eq!(report.runtime_fault, Some(RuntimeFault::Hangs));

    // The next one listens, and what was wrong is not forgotten at once.
    launch.say(&Runtime::Ended { code: 143 }).await;
    gate.until("/runtimez", 200).await;
    let _engine = Engine::start(&gate.path("runtime.sock"));
    launch.say(&Runtime::Starting).await;
    launch.say(&Runtime::Running).await;
    gate.until("/readyz", 200).await;
    assert_eq!(gate.admin_status("/runtimez").await.0, 200);
    assert_eq!(gate.sealz().await.runtime_fault, Some(RuntimeFault::Hangs));
}

#[tokio::test]
async fn an_engine_that_loads_for_ever_is_told_of_and_may_go_on() {
    let mut gate = Gate::start(&["--load-seconds", "1"]).await;
    let engine = Engine::start(&gate.path("runtime.sock"));
    *engine.0.loaded.lock().unwrap() = false;
    let mut launch = FakeLaunch::connect(&gate.path("lease.sock")).await;
    gate.prove().await;
    launch.run_engine().await;
    let begun = Instant::now();
    loop {
        let fault = gate.sealz().await.runtime_fault;
        if fault == Some(RuntimeFault::Hangs) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{fault:?}");
        sleep(Duration::from_millis(50)).await;
    }
    // It answers, so the kubelet leaves it alone.
    assert_eq!(gate.admin_status("/runtimez").await.0, 200);
    let told = gate.admin_status("/readyz").await;
    assert_eq!(told, (503, "NotReady: the engine is loading".to_owned()));
    *engine.0.loaded.lock().unwrap() = true;
    gate.until("/readyz", 200).await;
}
