//! Servers that give an error instead of their tools, or hang while they are asked for them.

use std::time::{Duration, Instant};

use sealroom::seal::wire::{Pin, RuntimeFault};
use serde_json::json;
use tokio::time::sleep;

use super::bed::{Bed, Client, call};
use super::drift::{pin_of, pin_of_perl};
use super::http;
use crate::gate::bed::PATIENCE;

/// The tools are looked at as often as the gate looks at anything.
const OFTEN: [&str; 2] = ["--mcp-inspect-seconds", "1"];

/// Waits until it has refused to list its tools so often, or been asked again after that.
async fn refused(bed: &Bed, times: usize) {
    let begun = Instant::now();
    while bed.noted_times("refuses") < times {
        assert!(begun.elapsed() < PATIENCE, "it is not asked");
        sleep(Duration::from_millis(30)).await;
    }
}

async fn serves(bed: &Bed, client: &Client) {
    let (status, why) = bed.gate.admin_status("/readyz").await;
    assert_eq!(status, 200, "{why}");
    let answer = client.post(&call(&json!(7), "echo", "x")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(bed.gate.sealz().await.mcp.unwrap().pin, Pin::Ok);
}

/// It serves while it gives a few errors and afterwards, and tools that change then are found all the same.
async fn goes_on(bed: &Bed) {
    let client = bed.session().await;
    serves(bed, &client).await;
    std::fs::write(bed.path("refuses"), "").unwrap();
    refused(bed, 2).await;
    serves(bed, &client).await;
    std::fs::remove_file(bed.path("refuses")).unwrap();
    sleep(Duration::from_secs(4)).await;
    serves(bed, &client).await;
    std::fs::write(bed.path("drift"), "").unwrap();
    bed.gate.until("/readyz", 503).await;
    assert_eq!(bed.gate.sealz().await.mcp.unwrap().pin, Pin::Drift);
}

#[rstest::rstest]
#[case::old_own("legacy", "PerSession")]
#[case::old_shared("legacy", "Shared")]
#[case::new_shared("modern", "Shared")]
#[tokio::test]
async fn an_error_instead_of_its_tools_is_no_drift(#[case] era: &str, #[case] isolation: &str) {
    let pin = pin_of_perl().await;
    let flags = ["--mcp-pin", &pin, "--mcp-isolation", isolation];
    let server = [
        era,
        "refuses=DIR/refuses",
        "drift=DIR/drift",
        "note=DIR/note",
    ];
    goes_on(&Bed::start(&[&flags[..], &OFTEN].concat(), &server).await).await;
}

/// With an HTTP status of its own.
#[tokio::test]
async fn an_error_over_http_instead_of_its_tools_is_no_drift() {
    let pin = pin_of(r#"{"tools":[{"name":"echo"},{"name":"secret"}]}"#).await;
    let flags = [&["--mcp-pin", &pin][..], &OFTEN].concat();
    let server = ["refuses=DIR/refuses", "drift=DIR/drift", "note=DIR/note"];
    goes_on(&http::bed(&flags, &server).await).await;
}

#[rstest::rstest]
#[case::own("PerSession")]
#[case::shared("Shared")]
#[tokio::test]
async fn a_pinned_server_that_never_listed_its_tools_is_not_ready_until_it_does(
    #[case] isolation: &str,
) {
    let pin = pin_of_perl().await;
    let flags = ["--mcp-pin", &pin, "--mcp-isolation", isolation];
    let bed = Bed::unready(&flags, &[], &["legacy", "lists=DIR/lists", "note=DIR/note"]).await;
    refused(&bed, 2).await;
    assert_eq!(bed.gate.admin_status("/readyz").await.0, 503);
    assert_eq!(bed.gate.sealz().await.mcp.unwrap().pin, Pin::Unknown);
    assert_eq!(bed.noted_times("start"), 1, "it answers: it is no hang");
    std::fs::write(bed.path("lists"), "").unwrap();
    bed.gate.until("/readyz", 200).await;
    serves(&bed, &bed.session().await).await;
}

/// One client's child says nothing of all others.
#[tokio::test]
async fn a_clients_child_that_gives_an_error_instead_of_its_tools_is_not_used() {
    let pin = pin_of_perl().await;
    let server = ["legacy", "refuses=DIR/refuses", "note=DIR/note"];
    let bed = Bed::start(&["--mcp-pin", &pin], &server).await;
    let client = bed.session().await;
    std::fs::write(bed.path("refuses"), "").unwrap();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let answer = bed.client().post(&body).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(bed.noted_times("refuses"), 1);
    serves(&bed, &client).await;
    std::fs::remove_file(bed.path("refuses")).unwrap();
    serves(&bed, &bed.session().await).await;
}

async fn hangs(bed: &Bed) {
    std::fs::write(bed.path("stuck"), "").unwrap();
    bed.noted("stuck").await;
    bed.gate.not_ready_within_seconds().await;
    let fault = bed.gate.sealz().await.runtime_fault;
    assert_eq!(fault, Some(RuntimeFault::Hangs));
}

#[rstest::rstest]
#[case::old_own("legacy", "PerSession")]
#[case::old_shared("legacy", "Shared")]
#[case::new_shared("modern", "Shared")]
#[tokio::test]
async fn a_server_that_hangs_while_it_lists_its_tools_is_not_ready_within_seconds(
    #[case] era: &str,
    #[case] isolation: &str,
) {
    let flags = ["--mcp-isolation", isolation];
    let server = [era, "stuck=DIR/stuck", "note=DIR/note"];
    hangs(&Bed::start(&[&flags[..], &OFTEN].concat(), &server).await).await;
}

#[tokio::test]
async fn a_server_over_http_that_hangs_while_it_lists_its_tools_is_not_ready_within_seconds() {
    let bed = http::bed(&OFTEN, &["stuck=DIR/stuck", "note=DIR/note"]).await;
    hangs(&bed).await;
    std::fs::remove_file(bed.path("stuck")).unwrap();
    bed.gate.until("/readyz", 200).await;
}
