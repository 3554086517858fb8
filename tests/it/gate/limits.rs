//! What a client can hold.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::bed::{FILES, Gate, PATIENCE, post, posted, raw, streaming};
use super::engine::chunk;
use super::full::full;
use super::seal::serving;

const BODY: &str = r#"{"prompt":"x"}"#;

#[tokio::test]
async fn requests_at_once_are_bounded() {
    let (gate, engine, _launch) = serving(&["--max-concurrent", "1", "--max-queued", "0"]).await;
    let (chunks, mut client) = streaming(&gate, &engine, "").await;
    let answer = post(gate.api, "/v1/completions", BODY, "").await;
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    drop(chunks);
    client.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(
        post(gate.api, "/v1/completions", BODY, "").await.status,
        200
    );
}

#[tokio::test]
async fn connections_at_once_are_bounded() {
    let (gate, _held) = full().await;
    let begun = Instant::now();
    loop {
        let answer = raw(gate.api, "").await;
        if answer.status == 503 {
            let length = format!("content-length: {}", answer.body.len());
            assert!(answer.head.contains(&length), "{answer:?}");
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(body["error"]["code"], "busy", "{body}");
            assert_eq!(body["error"]["type"], "server_error", "{body}");
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer:?}");
    }
    // The admin port is not theirs to fill.
    assert_eq!(gate.admin_status("/livez").await.0, 200);
}

#[tokio::test]
async fn as_many_files_are_open_as_the_machine_allows() {
    let gate = Gate::start(&[]).await;
    let limits = format!("/proc/{}/limits", gate.child.id().unwrap());
    let limits = std::fs::read_to_string(limits).unwrap();
    let mut lines = limits.lines();
    let held = lines.find_map(|line| line.strip_prefix("Max open files"));
    let held: Vec<&str> = held.unwrap().split_whitespace().take(2).collect();
    assert_eq!(held[0], held[1], "{limits}");
    assert_ne!(held[0], FILES.to_string(), "{limits}");
}

#[tokio::test]
async fn slow_heads_are_cut_off() {
    let gate = Gate::start(&[]).await;
    let mut slow = TcpStream::connect(gate.api).await.unwrap();
    slow.write_all(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-slow: ")
        .await
        .unwrap();
    let mut idle = TcpStream::connect(gate.api).await.unwrap();
    let begun = Instant::now();
    for client in [&mut slow, &mut idle] {
        let ended = timeout(PATIENCE, client.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "held for {:?}", begun.elapsed());
    }
    assert!(begun.elapsed() >= Duration::from_secs(9));
}

#[tokio::test]
async fn slow_bodies_are_cut_off() {
    let (mut gate, engine, _launch) = serving(&["--body-seconds", "1"]).await;
    let begun = Instant::now();
    let client = TcpStream::connect(gate.api).await.unwrap();
    let (mut from, mut to) = client.into_split();
    let head = "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
    to.write_all(head.as_bytes()).await.unwrap();
    // It never stands still: what counts is the whole.
    let trickle = tokio::spawn(async move {
        while to.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = Vec::new();
    // The gate reads on for a second, so that what still comes does not reset the connection under the answer.
    timeout(PATIENCE, from.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("body_slow"), "{answer}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    timeout(PATIENCE, trickle).await.unwrap().unwrap();
    assert_eq!(gate.audit_line().await["status"], 408);
    assert!(engine.requests().is_empty());
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let (mut gate, engine, _launch) = serving(&["--reader-seconds", "1"]).await;
    let chunks = engine.stream();
    let mut client = posted(gate.api, "/v1/completions", BODY).await;
    // The buffers on the way take some megabytes. Then nothing moves until the gate hangs up on both sides.
    let event = format!("data: \"{}\"\n\n", "x".repeat(64 * 1024));
    let work = async { while chunks.send(chunk(&event)).await.is_ok() {} };
    timeout(PATIENCE, work).await.unwrap();
    let line = gate.audit_line().await;
    assert_eq!(line["outcome"], "clientClosed", "{line}");
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, client.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a cut is no end");
}

#[tokio::test]
async fn answers_in_one_piece_take_bounded_memory() {
    // Each takes 248 KiB where it is held back until it is whole: of 32 MiB that are 132 at most. The others pass.
    const AT_ONCE: usize = 140;
    const HELD: usize = 132;
    let (gate, engine, _launch) = serving(&["--max-concurrent", "256"]).await;
    let long = "x".repeat(200 * 1024);
    let mut asking = Vec::new();
    for _ in 0..AT_ONCE {
        let chunks = engine.stream_of("application/json");
        let client = posted(gate.api, "/v1/completions", BODY).await;
        chunks.send(chunk("{\"text\":\"")).await.unwrap();
        // There is room for this one when the engine has taken the one before, and so this request.
        chunks.send(chunk(&long)).await.unwrap();
        asking.push((client, chunks));
    }
    let begun = Instant::now();
    loop {
        let mut passing = 0;
        for (client, _) in &asking {
            let some = timeout(Duration::from_millis(1), client.peek(&mut [0; 1])).await;
            passing += usize::from(some.is_ok());
        }
        assert!(passing < AT_ONCE, "the first ones are held back");
        if passing >= AT_ONCE - HELD {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "only {passing} pass");
    }
    for (mut client, chunks) in asking {
        chunks.send(chunk("\"}")).await.unwrap();
        drop(chunks);
        let mut text = String::new();
        timeout(PATIENCE, client.read_to_string(&mut text))
            .await
            .unwrap()
            .unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{:.200}", text);
        assert!(text.matches('x').count() >= long.len(), "all of it came");
    }
    // With the last byte of each its memory is free again: the next one is held back.
    let chunks = engine.stream_of("application/json");
    let client = posted(gate.api, "/v1/completions", BODY).await;
    chunks.send(chunk("{\"text\":\"")).await.unwrap();
    chunks.send(chunk(&long)).await.unwrap();
    let some = timeout(Duration::from_millis(200), client.peek(&mut [0; 1])).await;
    assert!(some.is_err(), "{some:?}");
}

#[tokio::test]
async fn large_heads_are_refused() {
    let gate = Gate::start(&[]).await;
    let long = format!(
        "GET /v1/models HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(20_000)
    );
    assert_eq!(raw(gate.api, &long).await.status, 431);
    let many = format!(
        "GET /v1/models HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "x: y\r\n".repeat(100)
    );
    assert_eq!(raw(gate.api, &many).await.status, 431);
}

#[tokio::test]
async fn bad_flags_end_with_usage() {
    for flags in [
        vec!["gate", "--model", "a", "--pod-uid", "b"],
        vec![
            "gate",
            "--model",
            "a",
            "--pod-uid",
            "b",
            "--verify-keys",
            "no key",
        ],
        vec![
            "gate",
            "--model",
            "a",
            "--pod-uid",
            "b",
            "--verify-keys",
            "",
            "--max-concurrent",
            "0",
        ],
    ] {
        let ended = tokio::process::Command::new(super::bed::binary())
            .args(&flags)
            .env_clear()
            .output()
            .await
            .unwrap();
        assert_eq!(ended.status.code(), Some(2), "{flags:?}");
    }
}
