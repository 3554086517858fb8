//! The end of a pod.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sealroom::seal::lease::{Runtime, Word};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::bed::{FakeLaunch, Gate, PATIENCE, binary, post, request};
use super::engine::chunk;
use super::seal::serving;

const BODY: &str = r#"{"prompt":"x"}"#;

fn hook(gate: &Gate) -> Child {
    Command::new(binary())
        .args(["gate", "--drain", "--lease-socket"])
        .arg(gate.path("lease.sock"))
        .env_clear()
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
}

#[tokio::test]
async fn the_hook_waits_for_the_last_stream() {
    let (mut gate, engine, mut launch) = serving(&[]).await;
    let chunks = engine.stream();
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    client
        .write_all(request("/v1/completions", BODY, "").as_bytes())
        .await
        .unwrap();
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    assert_ne!(client.read(&mut [0u8; 1024]).await.unwrap(), 0);

    let mut hook = hook(&gate);
    gate.until("/readyz", 503).await;
    // The Service's endpoints follow late: what still arrives is served.
    assert_eq!(
        post(gate.api, "/v1/completions", BODY, "").await.status,
        200
    );
    let begun = Instant::now();
    loop {
        let answer = post(gate.api, "/v1/completions", BODY, "").await;
        if answer.status == 503 {
            assert!(answer.body.contains("Draining"), "{answer:?}");
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_millis(300)).await;
    assert!(hook.try_wait().unwrap().is_none(), "a stream is under way");
    assert_eq!(launch.word().await, Some(Word::Granted));

    chunks.send(chunk("data: last\n\n")).await.unwrap();
    drop(chunks);
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert!(
        rest.contains("data: last") && rest.ends_with("0\r\n\r\n"),
        "{rest}"
    );
    let ended = timeout(PATIENCE, hook.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    launch.wait_for(Word::Drained).await;
    terminate(&gate.child);
    assert_eq!(gate.child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_drain_ends_at_its_limit() {
    // A grace of 4 s leaves 3 s for streams.
    let (mut gate, engine, mut launch) = serving(&["--drain-seconds", "4"]).await;
    let chunks = engine.stream();
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    client
        .write_all(request("/v1/completions", BODY, "").as_bytes())
        .await
        .unwrap();
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    assert_ne!(client.read(&mut [0u8; 1024]).await.unwrap(), 0);
    terminate(&gate.child);
    launch.wait_for(Word::Drained).await;
    assert_eq!(
        timeout(PATIENCE, gate.child.wait())
            .await
            .unwrap()
            .unwrap()
            .code(),
        Some(0)
    );
}

#[tokio::test]
async fn an_unproven_gate_ends_at_once() {
    let mut gate = Gate::start(&[]).await;
    let begun = Instant::now();
    terminate(&gate.child);
    let ended = timeout(PATIENCE, gate.child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_runtime_that_ends_alone_drains_only_for_itself() {
    let (gate, _engine, mut launch) = serving(&[]).await;
    launch.say(&Runtime::Stopping).await;
    launch.wait_for(Word::Drained).await;
    assert_eq!(gate.admin_status("/readyz").await.0, 503);
    drop(launch);
    // The kubelet starts the container again.
    let mut launch = loop {
        let mut launch = FakeLaunch::connect(&gate.path("lease.sock")).await;
        if launch.word().await.is_some() {
            break launch;
        }
    };
    launch.run_engine().await;
    gate.until("/readyz", 200).await;
    assert_eq!(
        post(gate.api, "/v1/completions", BODY, "").await.status,
        200
    );
}

#[tokio::test]
async fn an_opening_outweighs_the_drain() {
    let (mut gate, engine, mut launch) = serving(&[]).await;
    let chunks = engine.stream();
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    client
        .write_all(request("/v1/completions", BODY, "").as_bytes())
        .await
        .unwrap();
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    assert_ne!(client.read(&mut [0u8; 1024]).await.unwrap(), 0);
    let mut hook = hook(&gate);
    gate.until("/readyz", 503).await;
    gate.order_open("EgressOpen").await;
    assert!(client.read_to_end(&mut Vec::new()).await.is_err(), "reset");
    launch.wait_for(Word::Revoked).await;
    assert_eq!(
        timeout(PATIENCE, hook.wait())
            .await
            .unwrap()
            .unwrap()
            .code(),
        Some(0)
    );
}
