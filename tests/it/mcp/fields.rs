//! Header fields that repeat what a body says, in front of a server that speaks HTTP.

use serde_json::json;

use super::bed::{Client, MODERN, call, message, text};
use super::http::before;
use super::tricks::{META, stateless};
use crate::gate::bed::raw;

/// A server of its own could look at a field where the gate has looked at the body.
#[tokio::test]
async fn a_field_that_says_something_else_than_the_body_reaches_no_server() {
    let flags = ["--mcp-tools", "AllowListed", "--mcp-tool", "echo"];
    let bed = before("http", &flags).await;
    let session = bed.session().await;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"word":"x"}},{META}}}}}"#
    );
    let fine = stateless(&bed, "echo");
    let fields = fine.fields.as_str();
    let swapped = |from: &str, to: &str| Client {
        fields: fields.replace(from, to),
        ..fine.clone()
    };
    let more = |client: &Client, field: &str| Client {
        fields: format!("{}{field}\r\n", client.fields),
        ..client.clone()
    };
    let old = call(&json!(1), "echo", "x").to_string();
    for (client, body) in [
        (swapped("mcp-name: echo", "mcp-name: secret"), &body),
        (
            swapped("mcp-name: echo", "mcp-name: =?base64?c2VjcmV0?="),
            &body,
        ),
        (swapped("mcp-name: echo", "mcp-name: Echo"), &body),
        (
            swapped("mcp-method: tools/call", "mcp-method: tools/list"),
            &body,
        ),
        (swapped(MODERN, "2025-11-25"), &body),
        (more(&fine, "mcp-name: secret"), &body),
        (more(&fine, "mcp-method: tools/list"), &body),
        // A client with a session has no need of them.
        (more(&session, "mcp-name: secret"), &old),
        (more(&session, "mcp-method: tools/list"), &old),
    ] {
        let answer = raw(client.at, &client.post_text(body)).await;
        assert_eq!(answer.status, 400, "{}: {answer:?}", client.fields);
        let said = message(&answer);
        assert!(said["error"]["code"].is_i64(), "{answer:?}");
        assert_eq!(bed.noted_times("call "), 0, "{}", client.fields);
    }
    for (client, body) in [
        (fine.clone(), &body),
        (
            swapped("mcp-name: echo", "mcp-name: =?base64?ZWNobw==?="),
            &body,
        ),
        (swapped("mcp-name: echo\r\n", ""), &body),
        (session, &old),
    ] {
        let answer = raw(client.at, &client.post_text(body)).await;
        assert_eq!(text(&message(&answer)), "x", "{answer:?}");
    }
}
