//! A server that speaks HTTP on loopback, behind the same front.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use super::bed::{Bed, Client, call, message, messages, modern, text};
use super::streams::Events;
use crate::gate::bed::{Gate, PATIENCE, binary, raw};
use crate::launch::bed::Launch;
use crate::ports::free_port;

const LIST: &str = r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#;

/// With the server's options; `DIR` in them is the test's directory.
pub async fn bed(flags: &[&str], options: &[&str]) -> Bed {
    let port = free_port().port().to_string();
    let flags = [&["--mcp", "Http", "--mcp-port", &port], flags].concat();
    let mut gate = Gate::start_with(&flags).await;
    let dir = gate.dir.path().to_str().unwrap().to_owned();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp/http.pl");
    let mut command = Command::new(binary());
    command
        .args(["bridge", "--lock", "Streams", "--http-port", &port])
        .arg("--lease-socket")
        .arg(gate.path("lease.sock"))
        .args(["--", "/usr/bin/perl", script, &port])
        .args(options.iter().map(|part| part.replace("DIR", &dir)));
    let bridge = Launch::spawn(&mut command);
    gate.prove().await;
    gate.until("/readyz", 200).await;
    Bed { gate, bridge }
}

/// What the same tests ask: this one for `http`, otherwise one over stdio of that era. Its note says which tools it calls.
pub async fn before(server: &str, flags: &[&str]) -> Bed {
    let note = "note=DIR/note";
    match server {
        "http" => bed(flags, &[note]).await,
        era => Bed::start(flags, &[era, note]).await,
    }
}

#[tokio::test]
async fn keys_filter_and_audit_are_in_front_of_it() {
    let keys = tempfile::tempdir().unwrap();
    for name in ["ada", "bob"] {
        std::fs::write(
            keys.path().join(name),
            format!("key-of-{name}-0123456789abcdef"),
        )
        .unwrap();
    }
    let key = |name| format!("authorization: Bearer key-of-{name}-0123456789abcdef\r\n");
    let keys = keys.path().to_str().unwrap();
    let flags = [
        "--api-keys-dir",
        keys,
        "--mcp-tools",
        "AllowListed",
        "--mcp-tool",
        "echo",
    ];
    let mut bed = bed(&flags, &[]).await;
    assert!(
        bed.gate
            .sealz()
            .await
            .locks
            .contains(&"KernelStream".to_owned())
    );
    let stranger = raw(bed.gate.api, &bed.client().post_text(LIST)).await;
    assert_eq!(stranger.status, 401);
    let mut client = bed.client();
    client.fields = key("ada");
    let hello = client.initialize().await;
    assert_eq!(hello["result"]["serverInfo"]["name"], "http");
    let list = raw(client.at, &client.post_text(LIST)).await;
    assert!(
        list.head.contains("text/event-stream") && !list.head.contains("x-secret"),
        "{list:?}"
    );
    assert_eq!(message(&list)["result"]["tools"], json!([{"name": "echo"}]));
    let answer = client.call(&json!(1), "echo", "x").await;
    assert_eq!(text(&answer), "x", "without the key");
    let answer = client.call(&json!(1), "secret", "x").await;
    assert_eq!(answer["error"]["code"], -32602);
    let thief = Client {
        fields: key("bob"),
        ..client.clone()
    };
    assert_eq!(raw(client.at, &thief.post_text(LIST)).await.status, 404);
    // Two sessions in one request: the gate could look at one, and the server at the other.
    let twice = Client {
        fields: key("ada") + "mcp-session-id: session1\r\n",
        ..client.clone()
    };
    assert_eq!(raw(client.at, &twice.post_text(LIST)).await.status, 400);
    let line = bed.audited("tools/call").await;
    assert_eq!(
        (&line["key"], &line["tool"]),
        (&json!("ada"), &json!("echo")),
        "{line}"
    );
    let report = bed.gate.sealz().await.mcp.unwrap();
    assert_eq!(
        (
            report.server.unwrap().name.as_str(),
            report.tools.unwrap().count
        ),
        ("http", 2)
    );
    let bye = raw(
        client.at,
        &format!("DELETE /mcp HTTP/1.1\r\n{}\r\n", client.head()),
    )
    .await;
    assert_eq!(bye.status, 200);
}

/// In a session the end of a connection gives nothing up, so the server is told.
#[rstest::rstest]
#[case::in_a_stream("slow")]
#[case::before_it_says_anything("hang")]
#[tokio::test]
async fn a_call_that_takes_too_long_is_answered_in_time(#[case] tool: &str) {
    let options = ["note=DIR/note", "back=DIR/back"];
    let bed = bed(&["--answer-seconds", "2"], &options).await;
    let client = bed.session().await;
    let begun = Instant::now();
    let answer = client.post(&call(&json!(7), tool, "")).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{answer:?}");
    let answer = message(&answer);
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(7), &json!(-32603))
    );
    std::fs::write(bed.path("back"), "").unwrap();
    bed.noted("cancelled 7").await;
}

/// It is longer than what anybody looks at whole, and comes in pieces, the last of which may lack the line that ends it.
#[rstest::rstest]
#[case::as_it_comes("stays", &[])]
#[case::filtered("stays", &["--mcp-tools", "AllowListed", "--mcp-tool", "stays"])]
#[case::not_ended("halts", &[])]
#[case::not_ended_and_filtered("halts", &["--mcp-tools", "AllowListed", "--mcp-tool", "halts"])]
#[tokio::test]
async fn a_stream_that_goes_on_after_a_long_answer_has_that_one_answer(
    #[case] tool: &str,
    #[case] flags: &[&str],
) {
    let flags = [&["--answer-seconds", "2"][..], flags].concat();
    let bed = bed(&flags, &[]).await;
    let client = bed.session().await;
    let begun = Instant::now();
    let answer = client.post(&call(&json!(7), tool, "")).await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "it went on");
    let said = messages(&answer);
    assert_eq!(said.len(), 1, "{answer:?}");
    assert_eq!(text(&said[0]).len(), 12_000);
}

/// It has no end of its own, and takes no place from calls.
#[tokio::test]
async fn a_subscription_lasts_longer_than_a_call_may() {
    let flags = [
        "--answer-seconds",
        "2",
        "--max-concurrent",
        "1",
        "--max-queued",
        "0",
    ];
    let bed = bed(&flags, &[]).await;
    let client = bed.client();
    let params = json!({"notifications": {"toolsListChanged": true}});
    let (body, fields) = modern(&json!(5), "subscriptions/listen", params);
    let listens = Client {
        fields,
        ..client.clone()
    };
    let mut events = Events::of(&listens, &listens.post_text(&body.to_string())).await;
    events.until(": begun").await;
    let list = client.modern(&json!(1), "tools/list", json!({})).await;
    assert_eq!(list.status, 200, "{list:?}");
    let error = timeout(Duration::from_secs(4), events.until("-32603")).await;
    assert!(error.is_err(), "{error:?}");
}

/// As `application/json` one message is an answer (Streamable HTTP, Sending Messages).
#[rstest::rstest]
#[case::no_json("odd")]
#[case::several_messages("lines")]
#[tokio::test]
async fn an_answer_that_is_none_is_an_error_and_says_to_which_call_it_belongs(#[case] tool: &str) {
    let bed = bed(&[], &[]).await;
    let client = bed.session().await;
    let answer = client.post(&call(&json!(7), tool, "")).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(message(&answer)["id"], 7, "{answer:?}");
}

#[rstest::rstest]
#[case::as_it_comes(&[])]
#[case::filtered(&["--mcp-tools", "AllowListed", "--mcp-tool", "fail"])]
#[tokio::test]
async fn an_error_in_a_stream_is_in_the_audit(#[case] flags: &[&str]) {
    let mut bed = bed(flags, &[]).await;
    let client = bed.session().await;
    let answer = client.call(&json!(1), "fail", "").await;
    assert_eq!(answer["error"]["code"], -32050);
    let line = bed.audited("tools/call").await;
    assert_eq!(line["rpcError"], -32050, "{line}");
}

/// A call that got no answer was made once, whatever came of it.
fn called_once(bed: &Bed, tool: &str) {
    let noted = std::fs::read_to_string(bed.path("note")).unwrap();
    let calls = noted.matches(&format!("call {tool}")).count();
    assert_eq!(calls, 1, "{noted}");
}

/// The server is not there, and a call is told so.
async fn not_there(bed: &Bed, client: &Client) {
    let (begun, mut answer) = (
        Instant::now(),
        client.post(&call(&json!(8), "echo", "")).await,
    );
    while answer.status != 503 {
        assert!(begun.elapsed() < PATIENCE, "{answer:?}");
        answer = client.post(&call(&json!(8), "echo", "")).await;
    }
    let error = message(&answer);
    assert_eq!(error["id"], 8, "{error}");
    assert_eq!(error["error"]["data"]["reason"], "NotReady", "{error}");
    assert!(answer.head.contains("retry-after: "), "{answer:?}");
    let (status, why) = bed.gate.admin_status("/readyz").await;
    assert_eq!((status, why.starts_with("NotReady")), (503, true), "{why}");
}

#[tokio::test]
async fn a_server_that_dies_is_not_ready_at_once_and_comes_back() {
    let bed = bed(&[], &["note=DIR/note", "back=DIR/back"]).await;
    let client = bed.session().await;
    let begun = Instant::now();
    let answer = client.post(&call(&json!(7), "die", "")).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    let error = message(&answer);
    assert_eq!(
        (&error["id"], error["error"]["code"].is_i64()),
        (&json!(7), true),
        "{error}"
    );
    bed.gate.until("/readyz", 503).await;
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    // It is started again, and does not listen yet.
    not_there(&bed, &client).await;
    std::fs::write(bed.path("back"), "").unwrap();
    bed.gate.until("/readyz", 200).await;
    // It knows no session of the one before.
    let answer = client.post(&call(&json!(9), "echo", "")).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let client = bed.session().await;
    assert_eq!(client.text("echo", "x").await, "x");
    called_once(&bed, "die");
}

/// Connections to it are made, and nobody answers.
#[tokio::test]
async fn a_server_that_hangs_is_not_ready_within_seconds_and_comes_back() {
    let bed = bed(&[], &["note=DIR/note", "back=DIR/back"]).await;
    let client = bed.session().await;
    let hangs = client.clone();
    let hangs = tokio::spawn(async move { hangs.text("hang", "back").await });
    bed.noted("call hang").await;
    bed.gate.not_ready_within_seconds().await;
    not_there(&bed, &client).await;
    std::fs::write(bed.path("back"), "").unwrap();
    bed.gate.until("/readyz", 200).await;
    assert_eq!(client.text("echo", "x").await, "x");
    assert_eq!(hangs.await.unwrap(), "back", "it waits as long as it may");
    called_once(&bed, "hang");
    // The gate's own session from before: it has another one now.
    bed.noted("left").await;
}
