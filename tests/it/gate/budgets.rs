//! What each caller may take.

use sealroom::seal::lease::Runtime;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::bed::{Answer, FakeLaunch, Gate, post, raw, request};
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
