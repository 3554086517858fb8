//! What a gate takes while nobody asks it anything, as docs/benchmarks.md claims. Memory is no time: every machine can hold
//! it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::events::MODEL;
use crate::bench::process::Gate;
use crate::bench::processes::resident;

/// In MiB, proven and warm, before the first request.
const MOST: f64 = 24.0;
/// Without anything to do but its own probes.
const IDLE: Duration = Duration::from_secs(2);

/// Of the program that `SEALROOM_SHIPPED` names, and of none without it: what a build for the tests takes is no user's
/// concern. `e2e/test.sh` runs it in the stage `shipped` and looks for its line.
#[tokio::test]
async fn an_idle_gate_is_small() {
    let Some(program) = std::env::var_os("SEALROOM_SHIPPED") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("runtime.sock");
    let _engine = Engine::start(&socket, Instant::now()).unwrap();
    let program = Path::new(&program);
    let gate = Gate::start(program, directory.path(), &socket, &["--model", MODEL])
        .await
        .unwrap();
    tokio::time::sleep(IDLE).await;
    gate.still_proven().await.unwrap();
    let memory = resident(gate.pid).unwrap();
    println!("idle gate: {memory:.1} MiB of at most {MOST:.1}");
    assert!(memory <= MOST, "{memory:.1} MiB are more than {MOST:.1}");
}
