//! What the report says of a server that dies, does not start or does not answer.

use std::time::{Duration, Instant};

use sealroom::seal::wire::RuntimeFault;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::bed::{Bed, call};
use crate::gate::bed::PATIENCE;

const SHARED: [&str; 2] = ["--mcp-isolation", "Shared"];

async fn until_fault(bed: &Bed, expected: Option<RuntimeFault>) {
    let begun = Instant::now();
    loop {
        let fault = bed.gate.sealz().await.runtime_fault;
        if fault == expected {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{fault:?}, not {expected:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_start_is_told_of_and_its_bridge_left_alone() {
    // It ends at the first word, each time: that file cannot be made.
    let server = ["legacy", "crash=DIR/nowhere/crashed"];
    let bed = Bed::unready(&SHARED, &[], &server).await;
    until_fault(&bed, Some(RuntimeFault::Failing)).await;
    assert_eq!(bed.gate.admin_status("/readyz").await.0, 503);
    assert_eq!(bed.gate.admin_status("/runtimez").await.0, 200);
    assert!(bed.gate.sealz().await.sealed);
}

#[tokio::test]
async fn a_server_that_dies_once_is_told_of_and_serves_again() {
    let bed = Bed::start(&SHARED, &["legacy", "note=DIR/note"]).await;
    assert_eq!(bed.gate.sealz().await.runtime_fault, None);
    let client = bed.session().await;
    let answer = client.call(&json!(1), "die", "").await;
    assert!(answer["error"].is_object(), "{answer}");
    until_fault(&bed, Some(RuntimeFault::Ended)).await;
    bed.gate.until("/readyz", 200).await;
}

/// What works in the loop that should answer is silent for a while, and nothing of it is left.
#[tokio::test]
async fn a_server_that_does_not_answer_is_told_of_until_it_does() {
    let bed = super::http::bed(&[], &["note=DIR/note", "back=DIR/back"]).await;
    let client = bed.session().await;
    let hangs = client.clone();
    let hangs = tokio::spawn(async move { hangs.post(&call(&json!(1), "hang", "")).await });
    until_fault(&bed, Some(RuntimeFault::Hangs)).await;
    bed.gate.until("/readyz", 503).await;
    std::fs::write(bed.path("back"), "").unwrap();
    bed.gate.until("/readyz", 200).await;
    until_fault(&bed, None).await;
    assert_eq!(hangs.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_child_that_does_not_answer_is_told_of() {
    let bed = Bed::start(&SHARED, &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let hangs = client.clone();
    let hangs = tokio::spawn(async move { hangs.post(&call(&json!(1), "hang", "")).await });
    bed.noted("hangs").await;
    until_fault(&bed, Some(RuntimeFault::Hangs)).await;
    assert_eq!(bed.gate.admin_status("/runtimez").await.0, 200);
    hangs.abort();
}

/// Nobody else would tell who waits for it.
#[rstest::rstest]
#[case::no_utf8("latin")]
#[case::nested_too_deep("deep")]
#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_error_at_once(#[case] tool: &str) {
    let bed = Bed::start(&[], &["legacy"]).await;
    let client = bed.session().await;
    let answer = timeout(PATIENCE, client.call(&json!(1), tool, "")).await;
    let answer = answer.expect("its client waits");
    let about = (&answer["id"], &answer["error"]["code"]);
    assert_eq!(about, (&json!(1), &json!(-32603)), "{answer}");
    assert_eq!(client.text("echo", "x").await, "x");
}
