//! The queue before the engine.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::bed::{Answer, Gate, PATIENCE, post, request, streaming};
use super::engine::chunk;
use super::seal::serving;

const PATH: &str = "/v1/completions";
const BODY: &str = r#"{"prompt":"x"}"#;

async fn asking(gate: &Gate, body: &str) -> TcpStream {
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    let text = request(PATH, body, "");
    client.write_all(text.as_bytes()).await.unwrap();
    client
}

async fn status(mut client: TcpStream) -> u16 {
    let mut text = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut text))
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

fn terminate(gate: &Gate) {
    let pid = i32::try_from(gate.child.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
}

async fn until_waiting(gate: &Gate, count: usize) {
    gate.until_metric(&format!("sealroom_gate_waiting {count}"))
        .await;
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 429, "{answer:?}");
    let error: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(error["error"]["code"], code);
    assert_eq!(error["error"]["type"], "rate_limit_error");
    let after = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: "));
    let after: u32 = after.unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
}

#[tokio::test]
async fn a_request_waits_for_its_slot_and_a_full_queue_refuses_at_once() {
    let (mut gate, engine, _launch) =
        serving(&["--max-concurrent", "1", "--max-queued", "1"]).await;
    let (chunks, held) = streaming(&gate, &engine, "").await;
    let waiting = asking(&gate, r#"{"prompt":"waits"}"#).await;
    until_waiting(&gate, 1).await;
    refused(&post(gate.api, PATH, BODY, "").await, "queue_full");
    assert_eq!(gate.audit_line().await["status"], 429);
    gate.until_metric(r#"sealroom_gate_refused_total{reason="queue_full"} 1"#)
        .await;
    gate.until_metric(r#"sealroom_gate_refused_total{reason="queue_timeout"} 0"#)
        .await;
    assert_eq!(
        engine.requests().len(),
        1,
        "the engine is not asked by who waits"
    );
    drop(chunks);
    assert_eq!(status(waiting).await, 200);
    assert_eq!(engine.requests()[1].2, r#"{"prompt":"waits"}"#);
    until_waiting(&gate, 0).await;
    drop(held);
}

#[tokio::test]
async fn patience_ends_with_429() {
    let flags = ["--max-concurrent", "1", "--queue-seconds", "1"];
    let (gate, engine, _launch) = serving(&flags).await;
    let (_chunks, _held) = streaming(&gate, &engine, "").await;
    refused(&post(gate.api, PATH, BODY, "").await, "queue_timeout");
    gate.until_metric(r#"sealroom_gate_refused_total{reason="queue_timeout"} 1"#)
        .await;
    assert_eq!(engine.requests().len(), 1);
}

#[tokio::test]
async fn a_client_that_goes_leaves_its_place() {
    let (mut gate, engine, _launch) =
        serving(&["--max-concurrent", "1", "--max-queued", "1"]).await;
    let (chunks, _held) = streaming(&gate, &engine, "").await;
    let gone = asking(&gate, r#"{"prompt":"goes"}"#).await;
    // A client that is gone before its request is looked at has sent none.
    until_waiting(&gate, 1).await;
    drop(gone);
    let line = gate.audit_line().await;
    assert_eq!(
        (&line["status"], &line["outcome"]),
        (&499.into(), &"clientClosed".into())
    );
    until_waiting(&gate, 0).await;
    let waiting = asking(&gate, r#"{"prompt":"stays"}"#).await;
    until_waiting(&gate, 1).await;
    drop(chunks);
    assert_eq!(status(waiting).await, 200);
    let asked: Vec<String> = engine
        .requests()
        .into_iter()
        .map(|(_, _, body)| body)
        .collect();
    assert_eq!(asked, [BODY, r#"{"prompt":"stays"}"#]);
}

#[tokio::test]
async fn a_drain_serves_those_who_wait_while_there_is_time() {
    let flags = [
        "--max-concurrent",
        "1",
        "--max-queued",
        "1",
        "--lame-duck-seconds",
        "0",
    ];
    let (gate, engine, _launch) = serving(&flags).await;
    let (chunks, _held) = streaming(&gate, &engine, "").await;
    let waiting = asking(&gate, BODY).await;
    until_waiting(&gate, 1).await;
    terminate(&gate);
    let begun = Instant::now();
    loop {
        match post(gate.api, PATH, BODY, "").await.status {
            503 => break,
            // No place is left for it.
            status => assert_eq!(status, 429),
        }
        assert!(begun.elapsed() < PATIENCE);
    }
    until_waiting(&gate, 1).await;
    drop(chunks);
    assert_eq!(status(waiting).await, 200);
}

#[tokio::test]
async fn half_a_drain_ends_those_who_wait_and_not_what_is_under_way() {
    // A grace of 8 s leaves 6 s.
    let flags = ["--max-concurrent", "1", "--drain-seconds", "8"];
    let (mut gate, engine, _launch) = serving(&flags).await;
    let (chunks, mut held) = streaming(&gate, &engine, "").await;
    let waiting = asking(&gate, BODY).await;
    until_waiting(&gate, 1).await;
    terminate(&gate);
    assert_eq!(status(waiting).await, 503);
    assert_eq!(gate.audit_line().await["status"], 503);
    chunks.send(chunk("data: last\n\n")).await.unwrap();
    drop(chunks);
    let mut rest = String::new();
    held.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("data: last"), "{rest}");
    assert_eq!(engine.requests().len(), 1);
}

#[tokio::test]
async fn an_opening_cuts_those_who_wait() {
    let (mut gate, engine, _launch) = serving(&["--max-concurrent", "1"]).await;
    let (_chunks, _held) = streaming(&gate, &engine, "").await;
    let mut waiting = asking(&gate, BODY).await;
    until_waiting(&gate, 1).await;
    gate.order_open("EgressOpen").await;
    assert!(waiting.read_to_end(&mut Vec::new()).await.is_err(), "reset");
    until_waiting(&gate, 0).await;
    assert_eq!(engine.requests().len(), 1);
}

#[tokio::test]
async fn slow_bodies_hold_no_slot_and_no_place() {
    let (gate, _engine, _launch) = serving(&["--max-concurrent", "1", "--max-queued", "0"]).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut client = TcpStream::connect(gate.api).await.unwrap();
        let text = request(PATH, BODY, "");
        client
            .write_all(&text.as_bytes()[..text.len() - 1])
            .await
            .unwrap();
        slow.push(client);
    }
    gate.until_metric("sealroom_gate_in_flight 4").await;
    assert_eq!(post(gate.api, PATH, BODY, "").await.status, 200);
}

#[tokio::test]
async fn bodies_that_wait_take_bounded_memory() {
    // Eight bodies of 64 KiB: what a body of unknown length does not fill is free again while it waits.
    let flags = ["--max-concurrent", "1", "--max-body-bytes", "65536"];
    let (gate, engine, _launch) = serving(&flags).await;
    let (chunks, _held) = streaming(&gate, &engine, "").await;
    let mut waiting = Vec::new();
    for _ in 0..9 {
        let mut client = TcpStream::connect(gate.api).await.unwrap();
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let body = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
        client.write_all((head + &body).as_bytes()).await.unwrap();
        waiting.push(client);
    }
    until_waiting(&gate, 9).await;
    let large = format!(r#"{{"prompt":"{}"}}"#, "x".repeat(65_000));
    for _ in 0..7 {
        waiting.push(asking(&gate, &large).await);
    }
    until_waiting(&gate, 16).await;
    refused(&post(gate.api, PATH, &large, "").await, "body_memory");
    drop(chunks);
    for client in waiting {
        assert_eq!(status(client).await, 200);
    }
}
