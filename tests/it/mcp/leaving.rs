//! Clients that vanish, and callers that are let in no longer: what they held is free again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::bed::{Bed, Client, call, message, modern};
use super::http::before;
use super::limits::keyed;
use super::streams::Events;
use crate::gate::bed::{Answer, PATIENCE, raw};
use crate::gate::tokens::{field_for, flags, key, write};

/// Until asking gives this status, and the answer.
async fn until_status(client: &Client, body: &Value, status: u16) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = client.post(body).await;
        if answer.status == status {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn take_away(keys: &TempDir, name: &str) {
    std::fs::remove_file(keys.path().join(name)).unwrap();
}

/// A stream of `subscriptions/listen`.
async fn listens(client: &Client) -> Events {
    let params = json!({"notifications": {"toolsListChanged": true}});
    let (body, fields) = modern(&json!(5), "subscriptions/listen", params);
    let client = Client {
        fields: client.fields.clone() + &fields,
        ..client.clone()
    };
    let mut events = Events::of(&client, &client.post_text(&body.to_string())).await;
    events.until("acknowledged").await;
    events
}

#[rstest::rstest]
#[case::of_the_older_era("legacy")]
#[case::of_the_newer_era("modern")]
#[tokio::test]
async fn streams_calls_and_sessions_end_with_the_key(#[case] server: &str) {
    let (keys, bed, mut ada, mut bob) = keyed(&[], server).await;
    let (stateless, others) = (ada.clone(), bob.clone());
    ada.initialize().await;
    bob.initialize().await;
    let pid = ada.text("pid", "").await;
    let beside = Events::beside(&ada, None).await;
    let mut of_bob = Events::beside(&bob, None).await;
    let listening = listens(&stateless).await;
    let mut bob_listens = listens(&others).await;
    let slow = call(&json!("s"), "slow", "90").to_string();
    let slow = Events::of(&ada, &ada.post_text(&slow)).await;
    bed.noted("call slow").await;
    take_away(&keys, "ada");
    for stream in [beside, listening, slow] {
        stream.ended().await;
    }
    let begun = Instant::now();
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(begun.elapsed() < PATIENCE, "its session keeps its child");
        sleep(Duration::from_millis(50)).await;
    }
    // Bob hears on.
    let list = others.modern(&json!(1), "tools/list", json!({})).await;
    assert_eq!(list.status, 200, "{list:?}");
    assert_eq!(bob.text("echo", "x").await, "x");
    of_bob.until(":\n\n").await;
    bob_listens.until(":\n\n").await;
}

#[tokio::test]
async fn streams_and_sessions_of_an_http_server_end_with_the_key() {
    let (keys, bed, mut ada, mut bob) = keyed(&[], "http").await;
    ada.initialize().await;
    bob.initialize().await;
    let mut beside = Events::beside(&ada, None).await;
    beside.until(": begun").await;
    take_away(&keys, "ada");
    beside.ended().await;
    bed.noted("left").await;
    assert_eq!(bob.text("echo", "x").await, "x");
    // The key is back, and the session is not.
    std::fs::write(keys.path().join("ada"), "key-of-ada-0123456789abcdef").unwrap();
    until_status(&ada, &call(&json!(1), "echo", "x"), 404).await;
}

#[rstest::rstest]
#[case::stdio("legacy")]
#[case::http("http")]
#[tokio::test]
async fn streams_end_with_the_token_and_the_session_goes_on_with_the_next(#[case] server: &str) {
    let dir = tempfile::tempdir().unwrap();
    let (private, public) = key("one");
    write(dir.path(), &[&public]);
    let file = dir.path().join("jwks.json");
    let bed = before(server, &flags(&file, "tools")).await;
    let mut ada = bed.client();
    ada.fields = field_for(&private, "one", "tools", "ada", 10);
    ada.initialize().await;
    let mut beside = Events::beside(&ada, None).await;
    beside.until("text/event-stream").await;
    beside.ended().await;
    let answer = ada.post(&call(&json!(1), "echo", "x")).await;
    assert_eq!(answer.status, 401, "no sooner than the token: {answer:?}");
    ada.fields = field_for(&private, "one", "tools", "ada", 300);
    assert_eq!(ada.text("echo", "x").await, "x");
}

/// The server knows the newer era, or not.
#[rstest::rstest]
#[case::passed_on("legacy")]
#[case::across("modern")]
#[tokio::test]
async fn a_call_that_nobody_reads_gives_its_slot_back(#[case] server: &str) {
    let flags = ["--max-concurrent", "1", "--max-queued", "0"];
    let flags = [&flags[..], &["--mcp-unread-seconds", "2"]].concat();
    let bed = Bed::start(&flags, &[server, "note=DIR/note"]).await;
    let (client, other) = (bed.session().await, bed.session().await);
    let slow = call(&json!("s"), "slow", "90").to_string();
    let mut gone = Events::of(&client, &client.post_text(&slow)).await;
    bed.noted("call slow").await;
    let begun = gone.until("\nid: ").await + &gone.until("\n").await;
    let id = begun.trim().rsplit("\nid: ").next().unwrap().to_owned();
    let echo = call(&json!(1), "echo", "x");
    // Who reads may wait for longer than that.
    sleep(Duration::from_secs(4)).await;
    assert_eq!(other.post(&echo).await.status, 429);
    drop(gone);
    until_status(&other, &echo, 200).await;
    bed.noted("cancelled").await;
    let resume = format!(
        "GET /mcp HTTP/1.1\r\n{}last-event-id: {id}\r\n\r\n",
        client.head()
    );
    let told = message(&raw(client.at, &resume).await);
    let told = (&told["id"], &told["error"]["code"]);
    assert_eq!(
        told,
        (&json!("s"), &json!(-32603)),
        "who comes back is told"
    );
}

#[tokio::test]
async fn one_keys_sessions_leave_children_to_another_key() {
    let flags = ["--mcp-max-children", "5"];
    let (_keys, _bed, ada, bob) = keyed(&flags, "legacy").await;
    let begin = async |client: &Client| {
        let mut client = client.clone();
        client.initialize().await;
        let mut beside = Events::beside(&client, None).await;
        beside.until("text/event-stream").await;
        (client, beside)
    };
    let _held = [begin(&ada).await, begin(&ada).await];
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let third = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let answer = ada.post(&third).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let reason = &message(&answer)["error"]["data"]["reason"];
    assert_eq!(reason, "TooManyChildren");
    let _of_bob = [begin(&bob).await, begin(&bob).await];
}

/// A client that vanishes says nothing, and the server that holds its session would hold it for ever.
#[tokio::test]
async fn a_session_that_nobody_uses_ends_at_a_server_that_holds_it() {
    let flags = ["--mcp-idle-seconds", "1"];
    let bed = super::http::bed(&flags, &["note=DIR/note"]).await;
    let (gone, reads) = (bed.session().await, bed.session().await);
    let mut events = Events::beside(&reads, None).await;
    events.until(": begun").await;
    bed.noted("left").await;
    // As long again, and another look.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(bed.noted_times("left"), 1);
    let echo = call(&json!(1), "echo", "x");
    assert_eq!(gone.post(&echo).await.status, 404);
    assert_eq!(reads.post(&echo).await.status, 200, "it is in use");
}
