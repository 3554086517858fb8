//! One question and its answer: the key, the routes, the refusals.

use sealroom::seal::wire::{Lack, Need};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};

use super::played::Model;
use super::pod::{BODY, CHAT, Pod};
use crate::gate::bed::{PATIENCE, get, raw};
use crate::ports::free_port;

#[tokio::test]
async fn the_gate_adds_the_key_and_strips_the_programs_own() {
    let model = Model::start(None).await;
    let pod = Pod::with_key(model.at, "secret-1\n").await;
    let answer = pod.ask().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body, r#"{"choices":[]}"#);
    assert!(answer.head.contains("retry-after: 7"), "{}", answer.head);
    assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    let (line, fields, body) = model.requests().remove(0);
    assert_eq!(line, "POST /base/v1/chat/completions");
    assert_eq!(fields["authorization"], "Bearer secret-1");
    assert_eq!(fields["host"], model.at.to_string());
    assert_eq!(body, BODY);
    for name in ["cookie", "x-more", "connection"] {
        assert!(!fields.contains_key(name), "{fields:?}");
    }

    // A changed key needs no restart; one that is gone is not replaced by the program's.
    pod.key("secret-2").await;
    pod.ask().await;
    assert_eq!(model.requests()[1].1["authorization"], "Bearer secret-2");
    pod.key("").await;
    let answer = pod.ask().await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("SecretMissing"), "{}", answer.body);
    assert_eq!(model.requests().len(), 2);

    let metrics = get(pod.gate.metrics, "/metrics").await.body;
    for (code, count) in [(200, 2), (503, 1)] {
        let line = format!(
            "sealroom_gate_model_requests_total{{model=\"assistant\",code=\"{code}\"}} {count}"
        );
        assert!(metrics.contains(&line), "{metrics}");
    }
    let none = "sealroom_gate_model_in_flight{model=\"assistant\"} 0";
    assert!(metrics.contains(none), "{metrics}");
}

/// What a Secret that is not there does to the model's calls, the operator is told: in the answers to its challenges.
#[tokio::test]
async fn a_key_that_is_missing_is_told_until_it_is_there() {
    let model = Model::start(None).await;
    let mut pod = Pod::start(model.at, "http", "").await;
    let lack = [Lack {
        port: pod.offered.port(),
        what: Need::Key,
    }];
    assert_eq!(pod.gate.sealz().await.models_lack, lack);
    pod.gate.prove().await;
    assert_eq!(pod.gate.round().await.models_lack, lack);
    let answer = pod.ask().await;
    assert!(answer.body.contains("SecretMissing"), "{}", answer.body);
    pod.key("secret").await;
    assert!(pod.gate.round().await.models_lack.is_empty());
    assert_eq!(pod.ask().await.status, 200);
    // One that cannot be used is none.
    pod.key("two\nlines").await;
    assert_eq!(pod.gate.round().await.models_lack, lack);
}

#[tokio::test]
async fn only_the_openai_routes_lead_out() {
    let model = Model::start(None).await;
    let pod = Pod::with_key(model.at, "secret").await;
    for (line, status) in [
        ("GET /v1/models", 200),
        ("POST /v1/embeddings", 200),
        ("GET /v1/chat/completions", 404),
        ("GET /v1/models/assistant", 404),
        ("POST /v1/files", 404),
        ("GET /metrics", 404),
        ("POST /v1/../admin", 404),
        ("POST /v1/chat/completions?key=a", 400),
        ("GET http://192.0.2.1/v1/models", 400),
        ("CONNECT 192.0.2.1:443", 400),
    ] {
        let text =
            format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let answer = raw(pod.offered, &text).await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
    }
    let lines: Vec<String> = model
        .requests()
        .into_iter()
        .map(|(line, ..)| line)
        .collect();
    assert_eq!(lines, ["GET /base/v1/models", "POST /base/v1/embeddings"]);
}

#[tokio::test]
async fn what_goes_wrong_is_said_without_the_networks_words() {
    let gone = free_port();
    let pod = Pod::with_key(gone, "secret").await;
    let answer = pod.ask().await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("assistant gave no answer"));
    assert!(
        !answer.body.contains(&gone.port().to_string()),
        "{answer:?}"
    );

    // A body without an end in sight is broken off, and one that says its size is not read at all.
    let model = Model::start(None).await;
    let pod = Pod::with_key(model.at, "secret").await;
    let declared = "content-length: 16777217\r\nconnection: close\r\n\r\n";
    let answer = raw(
        pod.offered,
        &format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\n{declared}"),
    )
    .await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let mut program = TcpStream::connect(pod.offered).await.unwrap();
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    program.write_all(head.as_bytes()).await.unwrap();
    let (reading, mut writing) = program.into_split();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // Whether the answer is read or the connection is reset first is the network's choice.
    for _ in 0..300 {
        if writing.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let line = "sealroom_gate_model_requests_total{model=\"assistant\",code=\"413\"} 2";
    let begun = std::time::Instant::now();
    while !get(pod.gate.metrics, "/metrics").await.body.contains(line) {
        assert!(begun.elapsed() < PATIENCE, "the flood was not refused");
        sleep(Duration::from_millis(50)).await;
    }
    drop((reading, writing));
    assert!(model.requests().is_empty());
}
