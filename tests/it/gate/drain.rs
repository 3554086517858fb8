//! The end of a pod.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt::TcpMaxSeg};
use nix::unistd::Pid;
use sealroom::seal::lease::{Runtime, Word};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::bed::{Answer, FakeLaunch, Gate, PATIENCE, binary, post, request, streaming};
use super::engine::{ANSWER, chunk};
use super::seal::serving;

const BODY: &str = r#"{"prompt":"x"}"#;
const COMPLETIONS: &str = "/v1/completions";
/// Connections without a request end by themselves after ten seconds: what ends sooner was ended.
const SOON: Duration = Duration::from_secs(4);

/// A client that keeps its connection where it may.
struct Kept(TcpStream);

impl Kept {
    async fn to(gate: &Gate) -> Self {
        Self(TcpStream::connect(gate.api).await.unwrap())
    }

    async fn send(&mut self) {
        let text = request(COMPLETIONS, BODY, "").replace("connection: close\r\n", "");
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The head of a whole answer in one piece.
    async fn ask(&mut self) -> String {
        self.send().await;
        self.until(ANSWER).await
    }

    /// What comes up to this end.
    async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        let mut some = [0u8; 1024];
        while !text.ends_with(end) {
            let count = timeout(PATIENCE, self.0.read(&mut some)).await.unwrap();
            let count = count.unwrap();
            assert_ne!(count, 0, "{text}");
            text.push_str(std::str::from_utf8(&some[..count]).unwrap());
        }
        text.to_ascii_lowercase()
    }

    /// What comes until the gate closes the connection.
    async fn rest(mut self) -> String {
        let mut text = String::new();
        let read = timeout(PATIENCE, self.0.read_to_string(&mut text)).await;
        read.unwrap().unwrap();
        text.to_ascii_lowercase()
    }
}

/// The first refusal of new connections.
async fn until_refused(gate: &Gate) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = post(gate.api, COMPLETIONS, BODY, "").await;
        if answer.status == 503 {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(50)).await;
    }
}

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
    let (mut gate, engine, mut launch) = serving(&["--lame-duck-seconds", "1"]).await;
    let chunks = engine.stream();
    let mut client = Kept::to(&gate).await;
    client.send().await;
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    assert_ne!(client.0.read(&mut [0u8; 1024]).await.unwrap(), 0);

    let mut hook = hook(&gate);
    gate.until("/readyz", 503).await;
    until_refused(&gate).await;
    sleep(Duration::from_millis(300)).await;
    assert!(hook.try_wait().unwrap().is_none(), "a stream is under way");
    assert_eq!(launch.word().await, Some(Word::Granted));

    chunks.send(chunk("data: last\n\n")).await.unwrap();
    drop(chunks);
    // Its head promised nothing, and still the connection ends with it: the next request finds another pod.
    let begun = Instant::now();
    let rest = client.rest().await;
    assert!(begun.elapsed() < SOON);
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
async fn a_lame_duck_serves_and_sends_its_clients_away() {
    let (gate, _engine, _launch) = serving(&["--lame-duck-seconds", "4"]).await;
    let [mut kept, mut idle, mut silent] = [
        Kept::to(&gate).await,
        Kept::to(&gate).await,
        Kept::to(&gate).await,
    ];
    for client in [&mut kept, &mut idle] {
        let head = client.ask().await;
        assert!(!head.contains("connection: close"), "{head}");
    }
    let _hook = hook(&gate);
    gate.until("/readyz", 503).await;
    // The Service's endpoints follow late: what still arrives is served, and told to go.
    for mut client in [kept, Kept::to(&gate).await] {
        let head = client.ask().await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(client.rest().await, "");
    }
    // Nobody can tell it anything without an answer, and a request of it may be on its way.
    let mut some = [0u8; 64];
    let early = timeout(Duration::from_millis(200), idle.0.read(&mut some)).await;
    assert!(early.is_err(), "{early:?}");

    let answer = until_refused(&gate).await;
    assert!(answer.body.contains("Draining"), "{answer:?}");
    assert!(answer.head.contains("retry-after: "), "{answer:?}");
    assert!(answer.head.contains("connection: close"), "{answer:?}");
    let begun = Instant::now();
    assert_eq!(idle.rest().await, "", "the connection that carried nothing");
    assert!(begun.elapsed() < SOON);
    silent.send().await;
    let late = silent.rest().await;
    assert!(late.starts_with("http/1.1 503 "), "{late}");
    assert!(late.contains("retry-after: "), "{late}");
}

/// A stream that began before the drain told its client nothing of it.
#[rstest::rstest]
#[case::behind_the_lame_duck(Duration::ZERO)]
#[case::shortly_before_its_end(Duration::from_millis(600))]
#[tokio::test]
async fn a_connection_that_could_not_be_told_to_end_gets_one_more_answer(#[case] end: Duration) {
    let (gate, engine, mut launch) = serving(&["--lame-duck-seconds", "1"]).await;
    let chunks = engine.stream();
    let mut client = Kept::to(&gate).await;
    client.send().await;
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    client.until("data: 0\n\n\r\n").await;
    let mut hook = hook(&gate);
    gate.until("/readyz", 503).await;
    if end.is_zero() {
        until_refused(&gate).await;
    }
    sleep(end).await;
    chunks.send(chunk("data: last\n\n")).await.unwrap();
    drop(chunks);
    client.until("data: last\n\n\r\n0\r\n\r\n").await;
    until_refused(&gate).await;
    sleep(Duration::from_millis(200)).await;

    assert!(
        hook.try_wait().unwrap().is_none(),
        "a request may be on its way"
    );
    let head = client.ask().await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    assert_eq!(client.rest().await, "");
    let begun = Instant::now();
    launch.wait_for(Word::Drained).await;
    let ended = timeout(PATIENCE, hook.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    assert!(begun.elapsed() < SOON);
}

#[tokio::test]
async fn a_drain_ends_at_its_limit() {
    // A grace of 4 s leaves 3 s for streams.
    let (mut gate, engine, mut launch) = serving(&["--drain-seconds", "4"]).await;
    let (_chunks, _client) = streaming(&gate, &engine, "").await;
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
    // Its client is still there: it is not the one who went.
    assert_eq!(gate.audit_line().await["outcome"], "timeout");
}

#[tokio::test]
async fn a_slow_reader_gets_the_end_of_an_answer_too() {
    let (mut gate, engine, launch) = serving(&["--lame-duck-seconds", "0"]).await;
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(250 * 1024));
    engine.answer(200, &long);
    let socket = TcpSocket::new_v4().unwrap();
    // Small segments make small buffers in the kernel: most of the answer stays in the gate.
    setsockopt(&socket, TcpMaxSeg, &536).unwrap();
    let mut client = socket.connect(gate.api).await.unwrap();
    let text = request(COMPLETIONS, BODY, "");
    client.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(gate.audit_line().await["outcome"], "ok");
    terminate(&gate.child);
    // Nobody else holds the gate up.
    drop(launch);
    sleep(Duration::from_millis(500)).await;
    let mut text = String::new();
    let read = timeout(PATIENCE, client.read_to_string(&mut text)).await;
    assert!(read.unwrap().is_ok(), "{} bytes", text.len());
    assert!(text.ends_with(&long), "{} bytes", text.len());
    let ended = timeout(PATIENCE, gate.child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
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
    // It was told to end.
    assert_eq!(gate.sealz().await.runtime_fault, None);
    let head = Kept::to(&gate).await.ask().await;
    assert!(!head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn an_opening_outweighs_the_drain() {
    let (mut gate, engine, mut launch) = serving(&[]).await;
    let (_chunks, mut client) = streaming(&gate, &engine, "").await;
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

/// A reset would take from a slow client what it has not read yet.
#[tokio::test]
async fn a_client_that_still_sends_after_its_last_answer_is_not_reset() {
    let (gate, _engine, _launch) = serving(&[]).await;
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    let request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let (mut from, mut to) = client.split();
    let mut answer = String::new();
    from.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The gate reads on for a second. Otherwise the first of them is answered with a reset, which the second one meets.
    to.write_all(request).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    to.write_all(request).await.unwrap();
}
