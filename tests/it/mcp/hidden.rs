//! Tools that a server carries out and does not list.

use serde_json::{Value, json};

use super::bed::{Bed, Client, call, message, text};
use super::drift::{pin_of, pin_of_perl};
use super::http::before;
use crate::gate::bed::Answer;

/// A tool of the servers of these tests that none of them lists.
const HIDDEN: &str = "touch";

/// Calls it, with a session or without.
async fn calls(bed: &Bed, modern: bool, tool: &str, word: &str) -> Answer {
    if modern {
        let params = json!({"name": tool, "arguments": {"word": word}});
        return bed.client().modern(&json!(1), "tools/call", params).await;
    }
    let client: Client = bed.session().await;
    client.post(&call(&json!(1), tool, word)).await
}

#[rstest::rstest]
#[case::old_over_stdio("legacy", false)]
#[case::new_over_stdio("modern", true)]
#[case::new_in_front_of_old("legacy", true)]
#[case::old_over_http("http", false)]
#[case::new_over_http("http", true)]
#[tokio::test]
async fn with_a_pin_what_is_not_listed_is_not_carried_out(
    #[case] server: &str,
    #[case] modern: bool,
) {
    let pin = match server {
        "http" => pin_of(r#"{"tools":[{"name":"echo"},{"name":"secret"}]}"#).await,
        _ => pin_of_perl().await,
    };
    let mut bed = before(server, &["--mcp-pin", &pin]).await;
    let answer = message(&calls(&bed, modern, HIDDEN, "diagnosis").await);
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(bed.noted_times("call "), 0);
    let line = bed.audited("tools/call").await;
    assert_eq!(
        (&line["tool"], &line["rpcError"]),
        (&json!("(unlisted)"), &json!(-32602)),
        "{line}"
    );
    let answer = calls(&bed, modern, "echo", "x").await;
    assert_eq!(text(&message(&answer)), "x");
    let line = bed.audited("tools/call").await;
    assert_eq!(line["tool"], "echo", "{line}");
}

/// Its name is its client's text, so the audit only says that it was such a one.
#[rstest::rstest]
#[case::old_over_stdio("legacy", false)]
#[case::new_over_stdio("modern", true)]
#[case::over_http("http", true)]
#[tokio::test]
async fn without_a_pin_it_is_seen_in_the_audit(#[case] server: &str, #[case] modern: bool) {
    let mut bed = before(server, &[]).await;
    let answer = message(&calls(&bed, modern, HIDDEN, "diagnosis").await);
    assert!(answer["result"].is_object(), "{answer}");
    assert_eq!(bed.noted_times(&format!("call {HIDDEN}")), 1);
    let line = bed.audited("tools/call").await;
    assert_eq!(
        (&line["tool"], &line["rpcError"]),
        (&json!("(unlisted)"), &Value::Null),
        "{line}"
    );
    for text in [HIDDEN, "diagnosis"] {
        assert!(!line.to_string().contains(text), "{line}");
    }
}

/// What the policy lists is its owner's text.
#[tokio::test]
async fn a_name_that_the_policy_lists_is_in_the_audit() {
    let flags = ["--mcp-tools", "AllowListed", "--mcp-tool", HIDDEN];
    let mut bed = before("legacy", &flags).await;
    let answer = calls(&bed, false, HIDDEN, "x").await;
    assert_eq!(text(&message(&answer)), "touched");
    assert_eq!(bed.audited("tools/call").await["tool"], HIDDEN);
}
