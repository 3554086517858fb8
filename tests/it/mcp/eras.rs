//! Clients and servers of the two eras, in every combination.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::bed::{Bed, Client, call, message, messages, modern, open, text, until};

fn tool(name: &str, word: &str) -> Value {
    json!({"name": name, "arguments": {"word": word}})
}

#[rstest::rstest]
#[case::old_own("legacy", "PerSession")]
#[case::old_shared("legacy", "Shared")]
#[case::new_own("modern", "PerSession")]
#[case::new_shared("modern", "Shared")]
#[tokio::test]
async fn a_stateless_client_is_served_by_either(#[case] server: &str, #[case] isolation: &str) {
    let flags = ["--mcp-isolation", isolation, "--mcp-tools", "AllowListed"];
    let flags = [
        &flags[..],
        &["--mcp-tool", "echo", "--mcp-tool", "progress"],
    ]
    .concat();
    let bed = Bed::start(&flags, &[server]).await;
    let client = bed.client();
    let answer = client
        .modern(&json!("d"), "server/discover", json!({}))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.head.contains("mcp-session-id"), "{answer:?}");
    let result = message(&answer)["result"].clone();
    assert_eq!(result["supportedVersions"][0], "2026-07-28");
    assert_eq!(result["instructions"], "be kind");
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "perl"
    );

    let answer = client.modern(&json!(1), "tools/list", json!({})).await;
    let result = message(&answer)["result"].clone();
    assert_eq!(result["tools"].as_array().unwrap().len(), 2, "{result}");
    assert!(
        result["ttlMs"].is_u64() && result["cacheScope"].is_string(),
        "{result}"
    );

    let answer = client
        .modern(&json!(1), "tools/call", tool("echo", "x"))
        .await;
    let answer = message(&answer);
    assert_eq!((text(&answer), &answer["id"]), ("x".to_owned(), &json!(1)));
    let mut params = tool("progress", "p");
    params["_meta"]["progressToken"] = json!("tok");
    let answer = client.modern(&json!(2), "tools/call", params).await;
    let all = messages(&answer);
    assert_eq!(all.len(), 4, "{answer:?}");
    assert_eq!(all[0]["params"]["progressToken"], "tok");

    let answer = client
        .modern(&json!(3), "tools/call", tool("secret", ""))
        .await;
    assert_eq!(message(&answer)["error"]["code"], -32602);
    for gone in ["ping", "initialize", "logging/setLevel", "no/such"] {
        let answer = client.modern(&json!(4), gone, json!({})).await;
        assert_eq!(
            (answer.status, &message(&answer)["error"]["code"]),
            (404, &json!(-32601))
        );
    }
    let (body, fields) = modern(&json!(5), "tools/call", tool("echo", "x"));
    for (from, to, code) in [
        ("mcp-name: echo", "mcp-name: other", -32020),
        ("mcp-method: tools/call", "mcp-method: tools/list", -32020),
        ("mcp-protocol-version: 2026-07-28\r\n", "", -32020),
        (
            "mcp-protocol-version: 2026-07-28",
            "mcp-protocol-version: 2099-01-01",
            -32022,
        ),
    ] {
        let fields = fields.replace(from, to);
        let answer = Client {
            fields,
            ..client.clone()
        }
        .post(&body)
        .await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(message(&answer)["error"]["code"], code, "{answer:?}");
        assert_eq!(message(&answer)["id"], 5, "{answer:?}");
    }
}

#[rstest::rstest]
#[case::own("PerSession")]
#[case::shared("Shared")]
#[tokio::test]
async fn a_client_with_a_session_is_served_by_a_stateless_server(#[case] isolation: &str) {
    let bed = Bed::start(&["--mcp-isolation", isolation], &["modern"]).await;
    let mut client = bed.client();
    let hello = client.initialize().await["result"].clone();
    assert_eq!(hello["protocolVersion"], "2025-11-25");
    assert_eq!(hello["serverInfo"], json!({"name": "perl", "version": "5"}));
    assert_eq!(client.text("echo", "x").await, "x");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(message(&client.post(&ping).await)["result"], json!({}));
    let level = json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "info"}});
    assert_eq!(message(&client.post(&level).await)["result"], json!({}));

    // What the server asks by input_required is asked in the session.
    let body = call(&json!(9), "ask", "").to_string();
    let mut stream = open(&client, &client.post_text(&body)).await;
    let asked = until(&mut stream, "roots/list").await;
    let mut data = asked
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"));
    let asked: Value = serde_json::from_str(&format!("{{{}", data.next_back().unwrap())).unwrap();
    let answer =
        json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": [{"uri": "file:///a"}]}});
    assert_eq!(client.post(&answer).await.status, 202);
    let end = until(&mut stream, "root file").await;
    assert!(end.contains("root file:///a"), "{end}");
}

#[rstest::rstest]
#[case::old("legacy")]
#[case::new("modern")]
#[tokio::test]
async fn a_stateless_client_that_goes_gives_its_call_up(#[case] server: &str) {
    let bed = Bed::start(&[], &[server, "note=DIR/note"]).await;
    let client = bed.client();
    let (body, fields) = modern(&json!(1), "tools/call", tool("slow", "60"));
    let client = Client { fields, ..client };
    let stream = open(&client, &client.post_text(&body.to_string())).await;
    bed.noted("call slow").await;
    sleep(Duration::from_millis(200)).await;
    drop(stream);
    bed.noted("cancelled").await;
}
