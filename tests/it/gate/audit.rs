//! What has an audit line, and what is counted because it can have none.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::bed::{Gate, PATIENCE, get, raw, streaming};
use super::full::full;
use super::seal::serving;
use super::tls::Ca;

const PATH: &str = "/v1/completions";
const BODY: &str = r#"{"prompt":"x"}"#;

async fn rejected(gate: &Gate, reason: &str, count: usize) {
    let line = format!("sealroom_gate_rejected_total{{reason=\"{reason}\"}} {count}");
    gate.until_metric(&line).await;
}

/// As many requests as the limits let wait, over HTTP/2: more than the lines that wait for a slow reader.
#[tokio::test]
async fn as_many_requests_as_may_wait_have_their_lines() {
    const WAIT: usize = 1_100;
    const CONNECTIONS: usize = 20;
    let flags = ["--max-concurrent", "1", "--max-queued", "1100"];
    let (gate, engine, _launch) = serving(&flags).await;
    let (_chunks, _held) = streaming(&gate, &engine, "").await;

    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(gate.api).await.unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        waiting.spawn(async move { drop(connection.await) });
        for _ in 0..WAIT / CONNECTIONS {
            let mut sender = sender.clone();
            waiting.spawn(async move {
                sender.ready().await.unwrap();
                let request = Request::post(format!("http://assistant.team-a.svc:8080{PATH}"))
                    .body(Full::new(Bytes::from(BODY)))
                    .unwrap();
                drop(sender.send_request(request).await);
            });
        }
    }
    gate.until_metric(&format!("sealroom_gate_waiting {WAIT}"))
        .await;
    // All of them have a line, and so has one more.
    assert_eq!(get(gate.api, "/v1/models").await.status, 200);
    gate.until_metric("sealroom_gate_unaudited_total 0").await;
}

#[tokio::test]
async fn what_is_no_request_is_counted() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    for reason in ["connections", "streams", "handshake", "head_slow"] {
        rejected(&gate, reason, 0).await;
    }
    let begin = format!("POST {PATH} HTTP/1.1\r\nhost: x\r\n");
    for fields in [
        "content-length: 1\r\ncontent-length: 2\r\n",
        "transfer-encoding: gzip\r\n",
    ] {
        let answer = raw(gate.api, &format!("{begin}{fields}\r\n{BODY}")).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    rejected(&gate, "malformed", 2).await;
    let long = format!("{begin}x: {}\r\n\r\n", "y".repeat(20_000));
    let many = format!("{begin}{}\r\n", "x: y\r\n".repeat(100));
    for text in [long, many] {
        assert_eq!(raw(gate.api, &text).await.status, 431);
    }
    rejected(&gate, "head_too_large", 2).await;
    raw(gate.api, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame").await;
    rejected(&gate, "http2", 1).await;
    // A head that never ends, and a connection without a use, which is no request.
    let mut slow = TcpStream::connect(gate.api).await.unwrap();
    slow.write_all(begin.as_bytes()).await.unwrap();
    let mut unused = TcpStream::connect(gate.api).await.unwrap();
    for client in [&mut slow, &mut unused] {
        let ended = timeout(PATIENCE, client.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "held");
    }
    rejected(&gate, "head_slow", 1).await;

    assert!(engine.requests().is_empty());
    // The next line is that of the next request.
    assert_eq!(get(gate.api, "/v1/models").await.status, 200);
    let line = gate.audit_line().await;
    assert_eq!(line["route"], "/v1/models", "{line}");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_counted() {
    let (gate, _held) = full().await;
    let begun = std::time::Instant::now();
    while raw(gate.api, "").await.status != 503 {
        assert!(
            begun.elapsed() < Duration::from_secs(9),
            "heads end after ten"
        );
    }
    rejected(&gate, "connections", 1).await;
}

#[tokio::test]
async fn handshakes_that_come_to_nothing_are_counted() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    ca.lay(dir.path());
    let flags = ["--tls-dir", dir.path().to_str().unwrap()];
    let (gate, _engine, _launch) = serving(&flags).await;
    raw(gate.api, "GET /v1/models HTTP/1.1\r\n\r\n").await;
    rejected(&gate, "handshake", 1).await;
    drop(ca.connect(&gate, &[b"http/1.1"]).await.unwrap());
    rejected(&gate, "handshake", 1).await;
}
