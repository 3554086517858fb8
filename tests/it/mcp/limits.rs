//! What a caller may ask, how many calls are under way, and how long one takes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::bed::{Bed, Client, call, message};
use super::http::before;
use crate::gate::bed::{Answer, PATIENCE, raw};

/// With a key each for `ada` and `bob`.
pub async fn keyed(flags: &[&str], server: &str) -> (TempDir, Bed, Client, Client) {
    let keys = tempfile::tempdir().unwrap();
    for name in ["ada", "bob"] {
        let key = format!("key-of-{name}-0123456789abcdef");
        std::fs::write(keys.path().join(name), key).unwrap();
    }
    let dir = keys.path().to_str().unwrap();
    let bed = before(server, &[&["--api-keys-dir", dir], flags].concat()).await;
    let of = |name| Client {
        fields: format!("authorization: Bearer key-of-{name}-0123456789abcdef\r\n"),
        ..bed.client()
    };
    let (ada, bob) = (of("ada"), of("bob"));
    (keys, bed, ada, bob)
}

/// A call without a session.
async fn tool(client: &Client, name: &str, word: &str) -> Answer {
    let params = json!({"name": name, "arguments": {"word": word}});
    client.modern(&json!(7), "tools/call", params).await
}

/// A header field's value.
fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    answer.head.lines().find_map(named)
}

/// Refused by the limit, with a word when to try again.
fn refused(answer: &Answer, reason: &str, longest: u32) {
    assert_eq!(answer.status, 429, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["jsonrpc"], "2.0", "{body}");
    assert!(body["error"]["code"].is_i64(), "{body}");
    assert_eq!(body["error"]["data"]["reason"], reason, "{body}");
    let after: u32 = field(answer, "retry-after").unwrap().parse().unwrap();
    assert!((1..=longest).contains(&after), "{answer:?}");
}

#[rstest::rstest]
#[case::stdio("modern")]
#[case::http("http")]
#[tokio::test]
async fn stateless_calls_of_one_key_leave_another_ones_alone(#[case] server: &str) {
    let (_keys, mut bed, ada, bob) = keyed(&["--requests-per-minute", "2"], server).await;
    for left in ["1", "0"] {
        let answer = tool(&ada, "echo", "x").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(field(&answer, "x-ratelimit-limit-requests"), Some("2"));
        assert_eq!(field(&answer, "x-ratelimit-remaining-requests"), Some(left));
        assert!(field(&answer, "x-ratelimit-reset-requests").is_some());
    }
    let answer = tool(&ada, "echo", "x").await;
    refused(&answer, "rate_limit_exceeded", 30);
    assert_eq!(field(&answer, "x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(tool(&bob, "echo", "x").await.status, 200);
    // A stranger has no budget to spend.
    let stranger = tool(&bed.client(), "echo", "x").await;
    assert_eq!(stranger.status, 401, "{stranger:?}");
    assert_eq!(field(&stranger, "x-ratelimit-limit-requests"), None);
    bed.gate
        .until_metric(r#"sealroom_gate_refused_total{reason="request_budget"} 1"#)
        .await;
    let line = loop {
        let line = bed.gate.audit_line().await;
        if line["status"] == 429 {
            break line;
        }
    };
    assert_eq!(
        (&line["key"], &line["outcome"]),
        (&json!("ada"), &json!("refused")),
        "{line}"
    );
}

#[rstest::rstest]
#[case::stdio("legacy")]
#[case::http("http")]
#[tokio::test]
async fn a_session_goes_on_beside_one_whose_requests_are_spent(#[case] server: &str) {
    let (_keys, _bed, mut ada, mut bob) = keyed(&["--requests-per-minute", "2"], server).await;
    // One request each; the notification after it costs nothing.
    bob.initialize().await;
    ada.initialize().await;
    assert_eq!(ada.text("echo", "x").await, "x");
    let answer = ada.post(&call(&json!(1), "echo", "x")).await;
    refused(&answer, "rate_limit_exceeded", 30);
    let listen = format!("GET /mcp HTTP/1.1\r\n{}\r\n", ada.head());
    refused(&raw(ada.at, &listen).await, "rate_limit_exceeded", 30);
    assert_eq!(bob.text("echo", "x").await, "x");
    // What makes room is taken from whom nothing is left.
    let gives_up =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    let answer = ada.post(&gives_up).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let leave = format!("DELETE /mcp HTTP/1.1\r\n{}\r\n", ada.head());
    let left = raw(ada.at, &leave).await;
    assert_eq!(left.status, 200, "it gives a child back: {left:?}");
}

#[tokio::test]
async fn where_nobody_is_asked_who_they_are_all_are_one() {
    let bed = Bed::start(&["--requests-per-minute", "1"], &["modern"]).await;
    let answer = tool(&bed.client(), "echo", "x").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = tool(&bed.client(), "echo", "x").await;
    refused(&answer, "rate_limit_exceeded", 60);
}

#[tokio::test]
async fn without_a_budget_none_is_told() {
    let bed = Bed::start(&[], &["modern"]).await;
    let answer = tool(&bed.client(), "echo", "x").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.head.contains("x-ratelimit"), "{answer:?}");
}

#[rstest::rstest]
#[case::no_place("0", "queue_full")]
#[case::no_patience("1", "queue_timeout")]
#[tokio::test]
async fn calls_at_once_are_bounded(#[case] queued: &str, #[case] reason: &str) {
    let flags = ["--max-concurrent", "1", "--max-queued", queued];
    let flags = [&flags[..], &["--queue-seconds", "1"]].concat();
    let bed = Bed::start(&flags, &["legacy", "note=DIR/note"]).await;
    let (client, other) = (bed.session().await, bed.session().await);
    let slow = client.clone();
    let waits = tokio::spawn(async move { slow.post(&call(&json!("s"), "slow", "60")).await });
    bed.noted("call slow").await;
    refused(&other.post(&call(&json!(1), "echo", "x")).await, reason, 60);
    let line = format!(r#"sealroom_gate_refused_total{{reason="{reason}"}} 1"#);
    bed.gate.until_metric(&line).await;
    let params = json!({"requestId": "s"});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(client.post(&cancel).await.status, 202);
    timeout(PATIENCE, waits).await.unwrap().unwrap();
    let begun = Instant::now();
    while other.post(&call(&json!(1), "echo", "x")).await.status != 200 {
        assert!(begun.elapsed() < PATIENCE, "the slot is not free again");
        sleep(Duration::from_millis(50)).await;
    }
}

#[rstest::rstest]
#[case::with_a_session("legacy")]
#[case::without("modern")]
#[tokio::test]
async fn a_call_that_takes_too_long_is_answered_in_time_and_given_up(#[case] era: &str) {
    let flags = ["--answer-seconds", "2"];
    let mut bed = Bed::start(&flags, &[era, "note=DIR/note"]).await;
    let client = if era == "legacy" {
        bed.session().await
    } else {
        bed.client()
    };
    let begun = Instant::now();
    let answer = if era == "legacy" {
        client.post(&call(&json!(7), "slow", "60")).await
    } else {
        tool(&client, "slow", "60").await
    };
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(2), "{answer:?}");
    assert!(took < PATIENCE, "{answer:?}");
    let answer = message(&answer);
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(7), &json!(-32603))
    );
    bed.noted("cancelled").await;
    let line = bed.audited("tools/call").await;
    assert_eq!(line["rpcError"], -32603, "{line}");
}
