//! What the audit and the metrics say, and what they do not.

use serde_json::{Value, json};

use super::bed::{Bed, call};
use crate::gate::bed::get;

#[tokio::test]
async fn a_line_says_who_called_what_and_nothing_of_it() {
    let mut bed = Bed::start(&[], &["legacy"]).await;
    let client = bed.session().await;
    client.text("echo", "my diagnosis").await;
    let line = bed.audited("tools/call").await;
    let (bytes_in, bytes_out) = (line["bytesIn"].as_u64(), line["bytesOut"].as_u64());
    assert!(bytes_in > Some(100) && bytes_out > Some(70), "{line}");
    let expected = [
        ("kind", json!("audit")),
        ("route", json!("/mcp")),
        ("status", json!(200)),
        ("rpc", json!("tools/call")),
        ("tool", json!("echo")),
        ("protocol", json!("2025-11-25")),
        ("rpcError", Value::Null),
        ("outcome", json!("ok")),
    ];
    for (name, value) in expected {
        assert_eq!(line[name], value, "{name} in {line}");
    }
    assert!(!line.to_string().contains("diagnosis"), "{line}");

    client.post(&call(&json!(1), "my diagnosis", "")).await;
    let line = bed.audited("tools/call").await;
    assert!(!line.to_string().contains("diagnosis"), "{line}");
    assert_eq!(
        (&line["tool"], &line["rpcError"]),
        (&json!("(unlisted)"), &json!(-32602)),
        "{line}"
    );
    let unknown = json!({"jsonrpc": "2.0", "id": 3, "method": "diagnosis/of"});
    client.post(&unknown).await;
    let line = bed.audited("other").await;
    assert!(!line.to_string().contains("diagnosis"), "{line}");

    let text = get(bed.gate.metrics, "/metrics").await.body;
    for wanted in [
        r#"sealroom_gate_mcp_requests_total{method="tools/call",outcome="ok"} 1"#,
        r#"sealroom_gate_mcp_requests_total{method="tools/call",outcome="rpcError"} 1"#,
        r#"sealroom_gate_mcp_requests_total{method="other",outcome="rpcError"} 1"#,
        "sealroom_gate_mcp_sessions 1",
        "sealroom_gate_mcp_server_answers 1",
        "sealroom_gate_mcp_tools_drifted 0",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert!(!text.contains("diagnosis"));
}

#[tokio::test]
async fn the_report_names_the_server_and_its_tools() {
    let bed = Bed::start(&[], &["legacy"]).await;
    let report = bed.gate.sealz().await;
    let mcp = report.mcp.unwrap();
    let server = mcp.server.unwrap();
    assert_eq!(
        (server.name.as_str(), server.version.as_str()),
        ("perl", "5\\u{1b}[2J")
    );
    assert_eq!(server.protocol_version, "2025-11-25");
    let tools = mcp.tools.unwrap();
    assert_eq!(tools.count, 16);
    assert!(tools.hash.starts_with("sha256:"));
    assert_eq!(report.locks, ["Kernel", "NetworkPolicy"]);
}
