//! What a server logs, and what it asks and says when nobody reads: to whom it goes, and what becomes of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::bed::{Bed, Client, call, message, messages, modern, open, until};
use crate::gate::bed::PATIENCE;

/// A call during which the server logs at that level; the client wants the log from this one on.
async fn logs(client: &Client, level: &str, from: Option<&str>) -> Vec<Value> {
    let mut params = json!({"name": "log", "arguments": {"word": level}});
    if let Some(from) = from {
        params["_meta"] = json!({"io.modelcontextprotocol/logLevel": from});
    }
    let answer = client.modern(&json!(1), "tools/call", params).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    messages(&answer)
}

#[rstest::rstest]
#[case::old("legacy")]
#[case::new("modern")]
#[tokio::test]
async fn a_client_without_a_session_hears_the_log_that_it_wants(#[case] server: &str) {
    let bed = Bed::start(&[], &[server]).await;
    let client = bed.client();
    for (level, from, hears) in [
        ("warning", Some("info"), true),
        ("info", Some("info"), true),
        ("debug", Some("info"), false),
        ("emergency", None, false),
        ("emergency", Some("loud"), false),
    ] {
        let said = logs(&client, level, from).await;
        let methods: Vec<_> = said.iter().map(|said| said["method"].as_str()).collect();
        let expected = if hears {
            vec![Some("notifications/message"), None]
        } else {
            vec![None]
        };
        assert_eq!(methods, expected, "{level} from {from:?}: {said:?}");
    }
}

/// Clients of one key, or where nobody is asked for one, have one child.
#[rstest::rstest]
#[case::old("legacy")]
#[case::new("modern")]
#[tokio::test]
async fn a_late_log_about_one_client_reaches_no_other(#[case] server: &str) {
    let bed = Bed::start(&[], &[server, "note=DIR/note"]).await;
    let other = bed.client();
    let said = logs(&other, "alert", Some("debug")).await;
    assert_eq!(said[0]["params"]["data"], "about nothing", "{said:?}");
    let params = json!({"name": "mull", "arguments": {"word": "diagnosis"},
        "_meta": {"io.modelcontextprotocol/logLevel": "debug"}});
    let (body, fields) = modern(&json!(1), "tools/call", params);
    let client = Client {
        fields,
        ..bed.client()
    };
    let stream = open(&client, &client.post_text(&body.to_string())).await;
    bed.noted("call mull").await;
    drop(stream);
    bed.noted("cancelled").await;
    let said = logs(&other, "alert", Some("debug")).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(bed.noted_times("logs about diagnosis"), 1);
}

/// A session's own child asks beside its calls, and nobody reads.
#[tokio::test]
async fn a_question_that_was_dropped_is_answered_with_an_error() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    // 32 wait; the others are the oldest.
    let answer = client.post(&call(&json!(1), "poll", "40")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let begun = Instant::now();
    while bed.noted_times("answer to nobody") < 8 {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bed.noted_times("answer to nobody"), 8, "the others wait");
    assert_eq!(bed.noted_times("answer to nobody \"p-8\""), 1);
    assert_eq!(bed.noted_times("answer to nobody \"p-9\""), 0);
}

/// Every session keeps a copy of it, so it holds what MCP gives it and no more.
#[tokio::test]
async fn a_change_of_a_list_says_nothing_else() {
    let bed = Bed::start(&["--mcp-isolation", "Shared"], &["legacy"]).await;
    let client = bed.session().await;
    let answer = client.post(&call(&json!(1), "change", "diagnosis")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let listen = format!("GET /mcp HTTP/1.1\r\n{}\r\n", client.head());
    let mut stream = open(&client, &listen).await;
    let heard = until(&mut stream, "\"params\":{}").await;
    assert!(heard.contains("list_changed"), "{heard}");
    assert!(!heard.contains("diagnosis"), "{heard}");
}

/// Each session keeps it.
#[tokio::test]
async fn a_client_that_says_too_much_of_itself_gets_no_session() {
    let bed = Bed::start(&[], &["legacy"]).await;
    let initialize = |length: usize| {
        let client = json!({"name": "x".repeat(length), "version": "1"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    };
    let answer = message(&bed.client().post(&initialize(5_000)).await);
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let answer = message(&bed.client().post(&initialize(3_000)).await);
    assert!(answer["result"].is_object(), "{answer}");
}
