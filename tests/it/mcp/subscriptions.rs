//! Subscriptions across the eras: what clients of either hear of lists and resources, from servers of either.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::bed::{Bed, Client, call, message, modern, open, text, until};
use crate::gate::bed::{Answer, PATIENCE};

fn tool(name: &str, word: &str) -> Value {
    json!({"name": name, "arguments": {"word": word}})
}

/// `resources/subscribe` and `resources/unsubscribe`.
fn of_resource(verb: &str, uri: &str) -> Value {
    let method = format!("resources/{verb}");
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"uri": uri}})
}

/// The stream beside a session's calls.
async fn beside(session: &Client) -> TcpStream {
    let listen = format!("GET /mcp HTTP/1.1\r\n{}\r\n", session.head());
    let mut standing = open(session, &listen).await;
    until(&mut standing, "text/event-stream").await;
    standing
}

/// Waits until the server has noted this so often.
async fn noted(bed: &Bed, what: &str, times: usize) {
    let begun = Instant::now();
    while bed.noted_times(what) < times {
        assert!(begun.elapsed() < PATIENCE, "no {what:?} {times} times");
        sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn a_resource_is_listened_to_once_and_until_its_client_wants_it_no_more() {
    let bed = Bed::start(&[], &["modern", "watch", "note=DIR/note"]).await;
    let client = bed.session().await;
    let ask = |verb: &str| of_resource(verb, "file:///a");
    for _ in 0..3 {
        let answer = client.post(&ask("subscribe")).await;
        assert_eq!(message(&answer)["result"], json!({}), "{answer:?}");
    }
    bed.noted("listen").await;
    assert_eq!(client.text("echo", "x").await, "x");
    let noted = std::fs::read_to_string(bed.path("note")).unwrap();
    assert_eq!(noted.matches("listen").count(), 1, "{noted}");
    assert_eq!(client.post(&ask("unsubscribe")).await.status, 200);
    bed.noted("cancelled").await;
    let long = of_resource("subscribe", &"x".repeat(20_000));
    let answer = message(&client.post(&long).await);
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[rstest::rstest]
#[case::not_acknowledged("file:///nowhere", -32602)]
#[case::refused("file:///error", -32002)]
#[tokio::test]
async fn a_resource_of_which_a_stateless_server_does_not_tell_is_refused(
    #[case] uri: &str,
    #[case] code: i64,
) {
    let bed = Bed::start(&[], &["modern", "watch"]).await;
    let client = bed.session().await;
    // Nothing of it is remembered.
    for _ in 0..2 {
        let answer = message(&client.post(&of_resource("subscribe", uri)).await);
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
}

/// Where a session hears what its child says about a call: beside the answer, if it comes in time, or on the stream
/// of its own.
async fn heard(answer: &Answer, standing: &mut TcpStream, what: &str) -> String {
    if answer.body.contains(what) {
        answer.body.clone()
    } else {
        until(standing, what).await
    }
}

#[rstest::rstest]
#[case::old_own("legacy", "PerSession")]
#[case::new_own("modern", "PerSession")]
#[case::new_shared("modern", "Shared")]
#[tokio::test]
async fn a_session_hears_of_the_resource_that_it_subscribed_to(
    #[case] server: &str,
    #[case] isolation: &str,
) {
    let bed = Bed::start(&["--mcp-isolation", isolation], &[server, "watch"]).await;
    let session = bed.session().await;
    let answer = message(&session.post(&of_resource("subscribe", "file:///red")).await);
    assert_eq!(answer["result"], json!({}), "{answer}");
    let mut standing = beside(&session).await;
    let answer = session.post(&call(&json!(1), "touch", "file:///red")).await;
    assert_eq!(text(&message(&answer)), "touched");
    let heard = heard(&answer, &mut standing, "resources/updated").await;
    assert!(heard.contains("file:///red"), "{heard}");
    assert!(!heard.contains("subscriptionId"), "{heard}");
}

#[rstest::rstest]
#[case::closed_own("PerSession", "close")]
#[case::closed_shared("Shared", "close")]
#[case::died_shared("Shared", "die")]
#[tokio::test]
async fn a_sessions_subscription_outlasts_its_end_at_the_server(
    #[case] isolation: &str,
    #[case] end: &str,
) {
    let server = ["modern", "watch", "note=DIR/note"];
    let bed = Bed::start(&["--mcp-isolation", isolation], &server).await;
    let session = bed.session().await;
    let answer = message(&session.post(&of_resource("subscribe", "file:///red")).await);
    assert_eq!(answer["result"], json!({}), "{answer}");
    let mut standing = beside(&session).await;
    session.call(&json!(2), end, "").await;
    // What has changed meanwhile nobody knows.
    until(&mut standing, "resources/updated").await;
    assert_eq!(bed.noted_times("listen"), 2);
    bed.gate.until("/readyz", 200).await;
    assert_eq!(session.text("touch", "file:///red").await, "touched");
    until(&mut standing, "resources/updated").await;
}

#[rstest::rstest]
#[case::own("PerSession")]
#[case::shared("Shared")]
#[tokio::test]
async fn list_changes_are_listened_to_anew_when_the_server_closes_them(#[case] isolation: &str) {
    let bed = Bed::start(
        &["--mcp-isolation", isolation],
        &["modern", "note=DIR/note"],
    )
    .await;
    let session = bed.session().await;
    let mut standing = beside(&session).await;
    let own = isolation == "PerSession";
    // The gate's own child is asked, too.
    let begun = if own { 2 } else { 1 };
    noted(&bed, "hears lists", begun).await;
    assert_eq!(session.text("close", "").await, "closed");
    noted(&bed, "hears lists", begun + 1).await;
    // What has changed meanwhile nobody knows.
    until(&mut standing, "list_changed").await;
    assert_eq!(session.text("change", "").await, "changed");
    until(&mut standing, "list_changed").await;
}

/// What it told the last one of its lists may be over, and sessions outlast it.
#[rstest::rstest]
#[case::old("legacy")]
#[case::new("modern")]
#[tokio::test]
async fn sessions_list_anew_when_the_next_shared_child_serves(#[case] server: &str) {
    let bed = Bed::start(&["--mcp-isolation", "Shared"], &[server]).await;
    let session = bed.session().await;
    let mut standing = beside(&session).await;
    session.call(&json!(2), "die", "").await;
    until(&mut standing, "list_changed").await;
    assert_eq!(session.text("echo", "x").await, "x");
}

/// Nobody's place is taken by who only listens.
#[tokio::test]
async fn a_subscription_to_lists_goes_on_in_the_child_that_the_next_request_has() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.client();
    let params = json!({"notifications": {"toolsListChanged": true}});
    let (body, fields) = modern(&json!("sub"), "subscriptions/listen", params);
    let listens = Client {
        fields,
        ..client.clone()
    };
    let mut stream = open(&listens, &listens.post_text(&body.to_string())).await;
    until(&mut stream, "acknowledged").await;
    let answer = client
        .modern(&json!(1), "tools/call", tool("die", ""))
        .await;
    assert_eq!(message(&answer)["error"]["code"], -32603, "{answer:?}");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bed.noted_times("start"), 2, "the gate's own, and the first");
    for tool_name in ["echo", "change"] {
        let call = tool(tool_name, "x");
        let answer = client.modern(&json!(2), "tools/call", call).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        until(&mut stream, "list_changed").await;
    }
    assert_eq!(bed.noted_times("start"), 3);
}

#[rstest::rstest]
#[case::old_own("legacy", "PerSession")]
#[case::old_shared("legacy", "Shared")]
#[case::new_own("modern", "PerSession")]
#[case::new_shared("modern", "Shared")]
#[tokio::test]
async fn a_subscription_hears_what_it_asked_for(#[case] server: &str, #[case] isolation: &str) {
    let bed = Bed::start(&["--mcp-isolation", isolation], &[server]).await;
    let client = bed.client();
    // The server does not say that it tells of its prompts.
    let params = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}});
    let (body, fields) = modern(&json!("sub"), "subscriptions/listen", params);
    let listens = Client {
        fields,
        ..client.clone()
    };
    let mut stream = open(&listens, &listens.post_text(&body.to_string())).await;
    let begun = until(&mut stream, "acknowledged").await;
    assert!(
        begun.contains(r#""io.modelcontextprotocol/subscriptionId":"sub""#),
        "{begun}"
    );
    assert!(!begun.contains("promptsListChanged"), "{begun}");
    let session = bed.session().await;
    let mut standing = beside(&session).await;
    let answer = client
        .modern(&json!(2), "tools/call", tool("change", ""))
        .await;
    assert_eq!(text(&message(&answer)), "changed");
    let told = until(&mut stream, "list_changed").await;
    assert!(
        told.contains(r#""io.modelcontextprotocol/subscriptionId":"sub""#),
        "{told}"
    );
    let told = if isolation == "PerSession" {
        // Each hears it from its own child.
        let answer = session.post(&call(&json!(3), "change", "")).await;
        assert_eq!(text(&message(&answer)), "changed");
        heard(&answer, &mut standing, "list_changed").await
    } else {
        until(&mut standing, "list_changed").await
    };
    assert!(!told.contains("subscriptionId"), "{told}");
}
