//! What the endpoint takes, from whom, and what passes.

use serde_json::{Value, json};

use super::bed::{Bed, call, message, text};
use super::http::before;
use crate::gate::bed::raw;

const LIST: &str = r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#;

#[rstest::rstest]
#[case::per_session("PerSession")]
#[case::shared("Shared")]
#[tokio::test]
async fn a_client_calls_a_tool(#[case] isolation: &str) {
    let bed = Bed::start(&["--mcp-isolation", isolation], &["legacy"]).await;
    let mut client = bed.client();
    let hello = client.initialize().await;
    assert_eq!(hello["id"], "init");
    assert_eq!(hello["result"]["serverInfo"]["name"], "perl");
    assert_eq!(
        hello["result"]["x-own"], 7,
        "fields that nobody knows arrive"
    );
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");

    let answer = client.post(&call(&json!("a\"b"), "echo", "hello")).await;
    assert!(
        answer.head.contains("content-type: application/json"),
        "{answer:?}"
    );
    assert!(
        answer.body.contains(r#""x-own":[1, 2.50]"#),
        "as it came: {answer:?}"
    );
    let answer = message(&answer);
    assert_eq!(
        (&answer["id"], text(&answer)),
        (&json!("a\"b"), "hello".to_owned())
    );

    let env = client.text("env", "").await;
    assert!(
        env.contains("OPENAI_BASE_URL") && !env.contains("SEALROOM_SECRET"),
        "{env}"
    );

    let gone = raw(
        bed.gate.api,
        &format!("DELETE /mcp HTTP/1.1\r\n{}\r\n", client.head()),
    )
    .await;
    assert_eq!(gone.status, 200);
    let after = client.post(&call(&json!(2), "echo", "x")).await;
    assert_eq!(
        (after.status, &message(&after)["error"]["code"]),
        (404, &json!(-32001))
    );
}

#[tokio::test]
async fn a_pretty_body_is_one_line_for_the_server() {
    let bed = Bed::start(&[], &["legacy"]).await;
    let client = bed.session().await;
    let body = serde_json::to_string_pretty(&call(&json!(5), "echo", "x")).unwrap();
    // The server of these tests reads no spaces, so only the line break is put in.
    let body = body.replace("\": ", "\":");
    let answer = raw(client.at, &client.post_text(&body)).await;
    assert_eq!(text(&message(&answer)), "x");
}

/// A server over HTTP says itself which revisions and which sessions it knows.
#[rstest::rstest]
#[case::stdio("legacy", 400, 400)]
#[case::http("http", 200, 404)]
#[tokio::test]
async fn what_is_no_request_of_a_client_is_refused(
    #[case] server: &str,
    #[case] other_version: u16,
    #[case] no_session: u16,
) {
    let flags = ["--max-body-bytes", "10000", "--mcp-host", "tools"];
    let bed = before(server, &flags).await;
    let client = bed.session().await;
    let ok = client.post_text(LIST);
    let cases: Vec<(&str, String, u16)> = vec![
        ("fine", ok.clone(), 200),
        (
            "its name",
            ok.replace("host: localhost", "host: tools:8080"),
            200,
        ),
        (
            "foreign name",
            ok.replace("host: localhost", "host: evil.example"),
            421,
        ),
        (
            "foreign origin",
            ok.replace("accept:", "origin: http://evil.example\r\naccept:"),
            403,
        ),
        (
            "own origin",
            ok.replace("accept:", "origin: http://localhost:6274\r\naccept:"),
            200,
        ),
        ("other path", ok.replace("POST /mcp", "POST /mcp/"), 404),
        ("query", ok.replace("POST /mcp", "POST /sse"), 404),
        ("method", ok.replace("POST", "PUT"), 405),
        (
            "form",
            ok.replace(
                "application/json\r\ncontent-length",
                "text/plain\r\ncontent-length",
            ),
            415,
        ),
        (
            "accept",
            ok.replace(
                "accept: application/json, text/event-stream",
                "accept: text/html",
            ),
            406,
        ),
        (
            "version",
            ok.replace(
                "mcp-protocol-version: 2025-11-25",
                "mcp-protocol-version: 2030-01-01",
            ),
            other_version,
        ),
        (
            "no session",
            client
                .clone()
                .post_text(LIST)
                .replace("mcp-session-id", "x-session"),
            no_session,
        ),
        (
            "other session",
            ok.replace("mcp-session-id: ", "mcp-session-id: 0"),
            404,
        ),
        ("no json", client.post_text("{"), 400),
        ("batch", client.post_text(&format!("[{LIST}]")), 400),
        (
            "two names",
            client.post_text(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#),
            400,
        ),
        (
            "call without an id",
            client.post_text(
                r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"secret"}}"#,
            ),
            400,
        ),
        (
            "call in an answer",
            client.post_text(
                r#"{"jsonrpc":"2.0","id":1,"result":{},"Method":"tools/call","Params":{"name":"secret"}}"#,
            ),
            400,
        ),
        (
            "deep",
            client.post_text(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}}}}}"#,
                "[".repeat(3000)
            )),
            400,
        ),
        (
            "large",
            client.post_text(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
                "x".repeat(20_000)
            )),
            413,
        ),
    ];
    for (name, request, status) in cases {
        let answer = raw(bed.gate.api, &request).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        if status >= 400 {
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(body["error"]["code"].is_i64(), "{name}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn tools_that_are_not_listed_are_neither_seen_nor_called() {
    let flags = [
        "--mcp-tools",
        "AllowListed",
        "--mcp-tool",
        "echo",
        "--mcp-tool",
        "pid",
    ];
    let bed = Bed::start(&flags, &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let list = raw(client.at, &client.post_text(LIST)).await;
    assert!(list.body.contains(r#""x-own":{"b":1,"a":2}"#), "{list:?}");
    let names: Vec<_> = message(&list)["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["echo", "pid"]);
    assert_eq!(client.text("echo", "x").await, "x");
    let tricks = [
        json!({"name": "secret"}),
        json!({"name": "ECHO"}),
        json!({"Name": "secret"}),
        json!({"name": ["secret"]}),
        json!({}),
        json!("secret"),
    ];
    for params in tricks {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let answer = message(&client.post(&body).await);
        assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
    }
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Name":"secret"}}"#;
    let answer = message(&raw(client.at, &client.post_text(twice)).await);
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let noted = std::fs::read_to_string(bed.path("note")).unwrap();
    assert_eq!(noted.matches("call ").count(), 1, "{noted}");
}

/// Readers that take any case would see the second list.
#[tokio::test]
async fn a_list_that_two_read_differently_is_shown_to_nobody() {
    let flags = ["--mcp-tools", "AllowListed", "--mcp-tool", "echo"];
    let bed = Bed::start(&flags, &["legacy", "disguise"]).await;
    let client = bed.session().await;
    let list = raw(client.at, &client.post_text(LIST)).await;
    assert_eq!(message(&list)["error"]["code"], -32603, "{list:?}");
    assert!(!list.body.contains("secret"), "{list:?}");
}

#[rstest::rstest]
#[case::stdio("legacy")]
#[case::http("http")]
#[tokio::test]
async fn nobody_is_served_before_the_proof_and_after_an_opening(#[case] server: &str) {
    let mut bed = before(server, &[]).await;
    let client = bed.session().await;
    bed.gate.order_open("EgressOpen").await;
    let answer = client.post(&call(&json!(1), "echo", "x")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(message(&answer)["error"]["data"]["reason"], "EgressOpen");
    bed.gate.until("/readyz", 503).await;
}
