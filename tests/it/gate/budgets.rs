//! What each caller may take.

use std::time::Duration;

use sealroom::seal::lease::Runtime;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::bed::{Answer, FakeLaunch, Gate, post, raw, request, streaming};
use super::engine::{Engine, chunk};
use super::seal::serving;

const PATH: &str = "/v1/completions";
const BODY: &str = r#"{"prompt":"x"}"#;

/// A gate with the keys `a` and `b`.
async fn keyed(budgets: &[&str]) -> (TempDir, Gate, Engine, FakeLaunch) {
    let secret = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        std::fs::write(secret.path().join(name), format!("key-{name}")).unwrap();
    }
    let dir = secret.path().to_str().unwrap();
    let (gate, engine, launch) = serving(&[&["--api-keys-dir", dir], budgets].concat()).await;
    (secret, gate, engine, launch)
}

fn bearer(name: &str) -> String {
    format!("authorization: Bearer key-{name}\r\n")
}

async fn ask(gate: &Gate, name: &str) -> Answer {
    post(gate.api, PATH, BODY, &bearer(name)).await
}

/// A header field's value.
fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    answer.head.lines().find_map(named)
}

fn refused(answer: &Answer, longest: u32) {
    assert_eq!(answer.status, 429, "{answer:?}");
    let error: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(error["error"]["code"], "rate_limit_exceeded");
    let after: u32 = field(answer, "retry-after").unwrap().parse().unwrap();
    assert!((1..=longest).contains(&after), "{answer:?}");
}

#[tokio::test]
async fn requests_of_one_key_leave_another_ones_alone() {
    let (_secret, mut gate, engine, _launch) = keyed(&["--requests-per-minute", "2"]).await;
    for left in ["1", "0"] {
        let answer = ask(&gate, "a").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(field(&answer, "x-ratelimit-limit-requests"), Some("2"));
        assert_eq!(field(&answer, "x-ratelimit-remaining-requests"), Some(left));
        assert!(field(&answer, "x-ratelimit-reset-requests").is_some());
        assert_eq!(field(&answer, "x-ratelimit-limit-tokens"), None);
    }
    let answer = ask(&gate, "a").await;
    refused(&answer, 30);
    assert_eq!(field(&answer, "x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(ask(&gate, "b").await.status, 200);
    // The list of models costs nothing.
    let list = format!(
        "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}\r\n",
        bearer("a")
    );
    assert_eq!(raw(gate.api, &list).await.status, 200);
    assert_eq!(engine.requests().len(), 3);
    gate.until_metric(r#"sealroom_gate_refused_total{reason="request_budget"} 1"#)
        .await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let line = gate.audit_line().await;
        statuses.push((line["key"].clone(), line["status"].clone()));
    }
    assert_eq!(statuses[2], ("a".into(), 429.into()));
}

#[tokio::test]
async fn tokens_are_those_that_the_engine_says() {
    // The engine's answer says 7 and 2.
    let (_secret, gate, engine, _launch) = keyed(&["--tokens-per-minute", "10"]).await;
    assert_eq!(ask(&gate, "a").await.status, 200);
    let answer = ask(&gate, "a").await;
    assert_eq!(answer.status, 200, "one token is left: {answer:?}");
    assert_eq!(field(&answer, "x-ratelimit-limit-tokens"), Some("10"));
    assert_eq!(field(&answer, "x-ratelimit-remaining-tokens"), Some("1"));
    // 18 of 10: nine tokens must come, one each six seconds.
    refused(&ask(&gate, "a").await, 54);
    assert_eq!(ask(&gate, "b").await.status, 200);
    assert_eq!(engine.requests().len(), 3);
    let line = r#"sealroom_gate_refused_total{reason="token_budget"} 1"#;
    gate.until_metric(line).await;
}

#[tokio::test]
async fn a_day_is_counted_beside_a_minute() {
    let budgets = ["--tokens-per-minute", "1000", "--tokens-per-day", "9"];
    let (_secret, gate, _engine, _launch) = keyed(&budgets).await;
    let answer = ask(&gate, "a").await;
    assert_eq!(field(&answer, "x-ratelimit-limit-tokens"), Some("9"));
    let answer = ask(&gate, "a").await;
    refused(&answer, 9_600);
    assert!(answer.body.contains("tokens a day"), "{answer:?}");
}

#[tokio::test]
async fn who_hangs_up_early_pays_for_what_has_come() {
    let (_secret, mut gate, engine, _launch) = keyed(&["--tokens-per-minute", "8"]).await;
    let chunks = engine.stream();
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    let text = request(PATH, BODY, &bearer("a"));
    client.write_all(text.as_bytes()).await.unwrap();
    chunks.send(chunk(&"data: {}\n\n".repeat(8))).await.unwrap();
    assert_ne!(client.read(&mut [0u8; 1024]).await.unwrap(), 0);
    drop(client);
    chunks.closed().await;
    assert_eq!(gate.audit_line().await["outcome"], "clientClosed");
    // Eight events and three tokens of the prompt: four of eight must come.
    refused(&ask(&gate, "a").await, 30);
}

/// Of an answer in one piece nothing is seen before its end: the time counts.
#[tokio::test]
async fn who_hangs_up_before_an_answer_in_one_piece_pays_for_the_time() {
    let (_secret, mut gate, engine, _launch) = keyed(&["--tokens-per-minute", "40"]).await;
    let chunks = engine.stream_of("application/json");
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    let text = request(PATH, BODY, &bearer("a"));
    client.write_all(text.as_bytes()).await.unwrap();
    chunks.send(chunk(r#"{"choices":["#)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    drop(client);
    chunks.closed().await;
    assert_eq!(gate.audit_line().await["outcome"], "clientClosed");
    // Fifty for a second, and three of the prompt.
    refused(&ask(&gate, "a").await, 600);
    assert_eq!(ask(&gate, "b").await.status, 200);
}

/// Neither what is wrong with the request, nor an engine that is loading, nor a full queue takes of the budget.
#[tokio::test]
async fn what_is_refused_does_not_count() {
    let budgets = ["--requests-per-minute", "2", "--max-concurrent", "1"];
    let flags = [&budgets[..], &["--max-queued", "0"]].concat();
    let (_secret, gate, engine, mut launch) = keyed(&flags).await;
    let left = |answer: &Answer| field(answer, "x-ratelimit-remaining-requests").map(str::to_owned);
    for _ in 0..3 {
        let answer = post(gate.api, PATH, "no JSON", &bearer("a")).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(left(&answer).as_deref(), Some("2"));
    }
    launch.say(&Runtime::Waiting).await;
    gate.until("/readyz", 503).await;
    for _ in 0..3 {
        assert_eq!(ask(&gate, "a").await.status, 503);
    }
    launch.run_engine().await;
    gate.until("/readyz", 200).await;

    let (chunks, mut held) = streaming(&gate, &engine, &bearer("b")).await;
    for _ in 0..3 {
        let answer = ask(&gate, "a").await;
        assert_eq!(answer.status, 429, "{answer:?}");
        assert!(answer.body.contains("queue_full"), "{answer:?}");
        assert_eq!(left(&answer).as_deref(), Some("2"));
    }
    drop(chunks);
    held.read_to_end(&mut Vec::new()).await.unwrap();

    for _ in 0..2 {
        assert_eq!(ask(&gate, "a").await.status, 200);
    }
    refused(&ask(&gate, "a").await, 30);
}

/// Whoever waits in the queue has a place in the budget: a caller cannot fill the queue beyond it.
#[tokio::test]
async fn who_waits_has_a_place_in_the_budget_and_gives_it_back() {
    let flags = ["--requests-per-minute", "2", "--max-concurrent", "1"];
    let (_secret, gate, engine, _launch) = keyed(&flags).await;
    let (chunks, mut held) = streaming(&gate, &engine, &bearer("b")).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut client = TcpStream::connect(gate.api).await.unwrap();
        let text = request(PATH, BODY, &bearer("a"));
        client.write_all(text.as_bytes()).await.unwrap();
        waiting.push(client);
    }
    gate.until_metric("sealroom_gate_waiting 2").await;
    refused(&ask(&gate, "a").await, 30);
    drop(waiting);
    gate.until_metric("sealroom_gate_waiting 0").await;
    drop(chunks);
    held.read_to_end(&mut Vec::new()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&gate, "a").await.status, 200);
    }
    refused(&ask(&gate, "a").await, 30);
}

#[tokio::test]
async fn an_engine_that_fails_costs_no_tokens() {
    let (_secret, gate, engine, mut launch) = keyed(&["--tokens-per-minute", "1"]).await;
    engine.answer(500, "broken");
    assert_eq!(ask(&gate, "a").await.status, 502);
    // Nor does a request that a gate refuses which does not serve.
    launch.say(&Runtime::Waiting).await;
    gate.until("/readyz", 503).await;
    assert_eq!(ask(&gate, "a").await.status, 503);
    launch.run_engine().await;
    gate.until("/readyz", 200).await;
    assert_eq!(ask(&gate, "a").await.status, 200);
    refused(&ask(&gate, "a").await, 540);
}
