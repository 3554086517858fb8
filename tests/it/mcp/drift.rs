//! The pin, and tools that are not the pinned ones.

use std::process::Stdio;
use std::time::Duration;

use sealroom::seal::wire::Pin;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::sleep;

use super::bed::{Bed, Client, call, message};
use super::http;
use crate::gate::bed::{binary, raw};

const LIST: &str = r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#;

/// What `sealroom pin` makes of the answer to `tools/list`, or of its result.
pub async fn pin_of(list: &str) -> String {
    let mut child = Command::new(binary())
        .args(["pin", "--file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(list.as_bytes()).await.unwrap();
    drop(stdin);
    let said = child.wait_with_output().await.unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn tools_that_drift_take_the_server_out_of_service() {
    let first = Bed::start(&[], &["legacy"]).await;
    let client = first.session().await;
    let pin = pin_of(&raw(client.at, &client.post_text(LIST)).await.body).await;
    let report = first.gate.sealz().await.mcp.unwrap();
    assert_eq!(
        (report.tools.unwrap().hash, report.pin),
        (pin.clone(), Pin::Ok)
    );

    // A child of a session is looked at too, before its client is answered.
    let bed = Bed::start(&["--mcp-pin", &pin], &["legacy", "drift=DIR/drift"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("echo", "x").await, "x");
    std::fs::write(bed.path("drift"), "").unwrap();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let answer = bed.client().post(&body).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let answer = client.post(&call(&json!(1), "echo", "x")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(message(&answer)["error"]["data"]["reason"], "ToolsDrift");
    bed.gate.until("/readyz", 503).await;
    let drifted = "sealroom_gate_mcp_tools_drifted 1";
    bed.gate.until_metric(drifted).await;
    let report = bed.gate.sealz().await.mcp.unwrap();
    assert_eq!(report.pin, Pin::Drift);
    assert!(
        report
            .drift
            .starts_with("ask: description; change: description"),
        "{report:?}"
    );
}

/// The pin of server.pl, whose tools are the same in either era.
pub async fn pin_of_perl() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp/server.pl");
    let mut child = Command::new("/usr/bin/perl")
        .args([script, "legacy"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(format!("{LIST}\n").as_bytes())
        .await
        .unwrap();
    drop(stdin);
    let said = child.wait_with_output().await.unwrap();
    pin_of(&String::from_utf8(said.stdout).unwrap()).await
}

/// It is out of service, a client of its is told so, and the report shows what changed.
async fn out_of_service(bed: &Bed, client: &Client, drift: &str) {
    bed.gate.until("/readyz", 503).await;
    let (_, why) = bed.gate.admin_status("/readyz").await;
    assert!(why.starts_with(&format!("ToolsDrift: {drift}")), "{why}");
    let answer = client.post(&call(&json!(7), "echo", "x")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(message(&answer)["error"]["data"]["reason"], "ToolsDrift");
    let report = bed.gate.sealz().await.mcp.unwrap();
    assert_eq!(report.pin, Pin::Drift);
    assert!(report.drift.starts_with(drift), "{report:?}");
}

/// Sooner than anybody looks by themselves.
#[rstest::rstest]
#[case::old_own("legacy", "PerSession")]
#[case::old_shared("legacy", "Shared")]
#[case::new_own("modern", "PerSession")]
#[case::new_shared("modern", "Shared")]
#[tokio::test]
async fn a_child_that_lives_and_says_that_its_tools_changed_is_looked_at(
    #[case] server: &str,
    #[case] isolation: &str,
) {
    let pin = pin_of_perl().await;
    let flags = ["--mcp-pin", &pin, "--mcp-isolation", isolation];
    let bed = Bed::start(&flags, &[server, "drift=DIR/drift"]).await;
    let client = bed.session().await;
    // That it says so is no drift.
    assert_eq!(client.text("change", "").await, "changed");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.text("echo", "x").await, "x");
    std::fs::write(bed.path("drift"), "").unwrap();
    client.post(&call(&json!(1), "change", "")).await;
    out_of_service(&bed, &client, "ask: description; change: description").await;
}

#[rstest::rstest]
#[case::old_own("legacy", "PerSession")]
#[case::old_shared("legacy", "Shared")]
#[case::new_shared("modern", "Shared")]
#[tokio::test]
async fn a_child_that_lives_and_says_nothing_is_looked_at_again(
    #[case] server: &str,
    #[case] isolation: &str,
) {
    let pin = pin_of_perl().await;
    let flags = [
        "--mcp-pin",
        &pin,
        "--mcp-isolation",
        isolation,
        "--mcp-inspect-seconds",
        "1",
    ];
    let bed = Bed::start(&flags, &[server, "drift=DIR/drift"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("echo", "x").await, "x");
    std::fs::write(bed.path("drift"), "").unwrap();
    out_of_service(&bed, &client, "ask: description; change: description").await;
    // What turned back may turn again.
    std::fs::remove_file(bed.path("drift")).unwrap();
    sleep(Duration::from_secs(7)).await;
    out_of_service(&bed, &client, "ask: description; change: description").await;
}

/// Nobody hears what such a server says of itself, so it is looked at again and again.
#[tokio::test]
async fn a_server_over_http_whose_tools_change_is_taken_out_of_service() {
    let pin = pin_of(r#"{"tools":[{"name":"echo"},{"name":"secret"}]}"#).await;
    let flags = ["--mcp-pin", &pin, "--mcp-inspect-seconds", "1"];
    let bed = http::bed(&flags, &["drift=DIR/drift"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("echo", "x").await, "x");
    assert_eq!(bed.gate.sealz().await.mcp.unwrap().pin, Pin::Ok);
    std::fs::write(bed.path("drift"), "").unwrap();
    out_of_service(&bed, &client, "echo: description").await;
}

/// The gate's own question is answered as the pin says, and a client's is not.
#[tokio::test]
async fn a_server_with_two_faces_is_taken_out_of_service() {
    let first = Bed::start(&[], &["legacy"]).await;
    let client = first.session().await;
    let pin = pin_of(&raw(client.at, &client.post_text(LIST)).await.body).await;
    let bed = Bed::start(&["--mcp-pin", &pin], &["legacy", "faces"]).await;
    let client = bed.session().await;
    let answer = message(&raw(client.at, &client.post_text(LIST)).await);
    assert_eq!(answer["error"]["data"]["reason"], "ToolsDrift", "{answer}");
    assert_eq!(bed.gate.sealz().await.mcp.unwrap().pin, Pin::Drift);
    let answer = client.post(&call(&json!(1), "echo", "x")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
}

#[tokio::test]
async fn a_server_that_nags_is_looked_at_once_at_a_time() {
    // With a pin only what is listed is called.
    let first = Bed::start(&[], &["legacy", "also=nag"]).await;
    let client = first.session().await;
    let pin = pin_of(&raw(client.at, &client.post_text(LIST)).await.body).await;
    let options = ["legacy", "nagging", "also=nag", "note=DIR/note"];
    let bed = Bed::start(&["--mcp-pin", &pin], &options).await;
    let client = bed.session().await;
    assert_eq!(client.text("nag", "").await, "nagged");
    bed.noted("asked again").await;
    sleep(Duration::from_secs(1)).await;
    let noted = std::fs::read_to_string(bed.path("note")).unwrap();
    assert_eq!(noted.matches("asked again").count(), 1, "{noted}");
    assert_eq!(client.text("echo", "x").await, "x");
}

#[tokio::test]
async fn tools_that_never_were_the_pinned_ones_are_never_served() {
    let pin = format!("sha256:{}", "0".repeat(64));
    let bed = Bed::unready(&["--mcp-pin", &pin], &[], &["legacy"]).await;
    bed.gate.until("/readyz", 503).await;
    let mut report = bed.gate.sealz().await.mcp;
    while report.as_ref().is_none_or(|mcp| mcp.tools.is_none()) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        report = bed.gate.sealz().await.mcp;
    }
    let report = report.unwrap();
    assert_eq!(report.pin, Pin::Drift);
    assert!(
        report
            .drift
            .starts_with("the server offers 16 tools with sha256:"),
        "{report:?}"
    );
    let answer = bed.client().post(&call(&json!(1), "echo", "x")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
}
