//! Who asks, and over what: the same as at the gate of a model.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::bed::{Bed, Client, call, message, messages, text};
use super::http::before;
use crate::gate::bed::{Answer, PATIENCE, answer, raw};
use crate::gate::tls::Ca;
use crate::gate::tokens::{field_of, flags, key, write};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;

/// A refusal as MCP clients and OAuth clients read it.
fn unauthorized(answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.head.contains("www-authenticate: bearer "));
    assert!(message(answer)["error"]["code"].is_i64(), "{answer:?}");
}

#[rstest::rstest]
#[case::stdio("legacy")]
#[case::http("http")]
#[tokio::test]
async fn a_person_with_a_token_has_sessions_of_their_own(#[case] server: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (private, public) = key("one");
    write(dir.path(), &[&public]);
    let file = dir.path().join("jwks.json");
    let flags = flags(&file, "tools");
    let mut bed = before(server, &flags).await;
    let with = |fields: String| Client {
        fields,
        ..bed.client()
    };
    let of = |person| with(field_of(&private, "one", "tools", person));
    let (mut ada, bob) = (of("ada"), of("bob"));
    let foreign = with(field_of(&private, "one", "assistant", "ada"));
    let (stolen, _) = key("one");
    let forged = with(field_of(&stolen, "one", "tools", "ada"));
    for nobody in [with(String::new()), foreign, forged] {
        unauthorized(&nobody.post(&call(&json!(1), "echo", "x")).await);
    }
    ada.initialize().await;
    assert_eq!(ada.text("echo", "x").await, "x");
    let thief = Client {
        fields: bob.fields.clone(),
        ..ada.clone()
    };
    let answer = thief.post(&call(&json!(1), "echo", "y")).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let params = json!({"name": "echo", "arguments": {"word": "z"}});
    let answer = bob.modern(&json!(1), "tools/call", params).await;
    assert_eq!(text(&message(&answer)), "z");
    assert_eq!(bed.noted_times("call echo"), 2);

    let mut called = Vec::new();
    while called.len() < 6 {
        let line = bed.gate.audit_line().await;
        assert!(line["key"].is_null(), "{line}");
        assert!(!line.to_string().contains("eyJ"), "no token: {line}");
        if line["rpc"] == "tools/call" || line["status"] == 401 {
            called.push(json!([line["person"], line["status"], line["tool"]]));
        }
    }
    let expected = [
        json!([null, 401, null]),
        json!([null, 401, null]),
        json!([null, 401, null]),
        json!(["ada", 200, "echo"]),
        json!(["bob", 404, "echo"]),
        json!(["bob", 200, "echo"]),
    ];
    assert_eq!(called, expected);
}

/// Sends one request over TLS, and reads the answer to the end of the connection.
async fn send(ca: &Ca, bed: &Bed, request: &str) -> Answer {
    let mut stream = ca.connect(&bed.gate, &[b"http/1.1"]).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = String::new();
    let _ = timeout(PATIENCE, stream.read_to_string(&mut all))
        .await
        .unwrap();
    answer(&all)
}

#[tokio::test]
async fn the_endpoint_is_the_same_over_tls_and_not_there_without() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    ca.lay(dir.path());
    let flags = [
        "--tls-dir",
        dir.path().to_str().unwrap(),
        "--mcp-host",
        "tools.team-a.svc",
    ];
    let bed = Bed::start(&flags, &["legacy"]).await;
    let mut client = bed.client();
    let hello = send(&ca, &bed, &client.post_text(INITIALIZE)).await;
    assert_eq!(hello.status, 200, "{hello:?}");
    assert_eq!(message(&hello)["result"]["serverInfo"]["name"], "perl");
    let mut lines = hello.head.lines();
    let session = lines.find_map(|line| line.strip_prefix("mcp-session-id: "));
    client.session = Some(session.unwrap().to_owned());
    let request = |body: &Value| {
        let text = client.post_text(&body.to_string());
        text.replace("host: localhost", "host: tools.team-a.svc:8080")
    };
    let answer = send(&ca, &bed, &request(&call(&json!(1), "echo", "x"))).await;
    assert_eq!(text(&message(&answer)), "x");
    // A stream of events, too.
    let mut body = call(&json!(2), "progress", "p");
    body["params"]["_meta"] = json!({"progressToken": 1});
    let answer = send(&ca, &bed, &request(&body)).await;
    assert!(answer.head.contains("text/event-stream"), "{answer:?}");
    let last = messages(&answer).pop().unwrap();
    assert_eq!(text(&last), "done p");
    // The name in the certificate is no name of the endpoint: that is looked at here, too.
    let foreign = client.post_text(INITIALIZE);
    let foreign = foreign.replace("host: localhost", "host: assistant.team-a.svc");
    assert_eq!(send(&ca, &bed, &foreign).await.status, 421);
    let clear = raw(client.at, &client.post_text(INITIALIZE)).await;
    assert_eq!(clear.status, 0, "{clear:?}");
    assert!(!clear.head.contains("http"), "{clear:?}");
}
