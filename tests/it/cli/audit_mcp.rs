//! `sealroom audit` on the lines of a gate in front of an MCP server.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::audit::audit;
use crate::gate::bed::PATIENCE;
use crate::mcp::bed::{Bed, Client, call};

/// Of a stranger one, of each caller two of a beginning and two of calls.
const LINES: usize = 9;

/// What the gate wrote of two callers: a stranger, sessions, calls of two tools and one that is not there.
async fn log() -> String {
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| format!("key-of-{name}-0123456789abcdef");
    for name in ["ada", "bob"] {
        std::fs::write(keys.path().join(name), key(name)).unwrap();
    }
    let flags = ["--api-keys-dir", keys.path().to_str().unwrap()];
    let mut bed = Bed::start(&flags, &["legacy"]).await;
    let stranger = bed.client().post(&call(&json!(1), "echo", "x")).await;
    assert_eq!(stranger.status, 401, "{stranger:?}");
    for (name, tools) in [("ada", ["echo", "pid"]), ("bob", ["echo", "nothing"])] {
        let mut client = Client {
            fields: format!("authorization: Bearer {}\r\n", key(name)),
            ..bed.client()
        };
        client.initialize().await;
        for tool in tools {
            client.call(&json!(1), tool, "x").await;
        }
    }
    let mut log = String::new();
    for _ in 0..LINES {
        let line = timeout(PATIENCE, bed.gate.audit.next_line()).await;
        log += &(line.unwrap().unwrap().unwrap() + "\n");
    }
    log
}

#[tokio::test]
async fn lines_of_mcp_are_found_by_method_and_tool_and_lack_no_tokens() {
    let log = log().await;
    let found = |flags: &[&str]| -> Vec<String> {
        let (code, out, said) = audit(&[&["-o", "json"], flags].concat(), log.as_str());
        assert_eq!((code, said.as_str()), (0, ""));
        let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
        let words = |line: Value| {
            let word = |member| line[member].as_str().unwrap_or("-").to_owned();
            ["key", "rpc", "tool"].map(word).join(" ")
        };
        let mut found: Vec<_> = lines.map(words).collect();
        found.sort();
        found
    };
    assert_eq!(found(&[]).len(), LINES);
    let calls = [
        "ada tools/call echo",
        "ada tools/call pid",
        "bob tools/call (unlisted)",
        "bob tools/call echo",
    ];
    assert_eq!(found(&["--rpc", "tools/call"]), calls);
    assert_eq!(found(&["--tool", "echo"]), [calls[0], calls[3]]);
    assert_eq!(found(&["--tool", "echo", "--key", "bob"]), [calls[3]]);
    // The server has no such tool, so it is the client's own text.
    assert!(found(&["--tool", "nothing"]).is_empty());
    assert_eq!(found(&["--status", "401"]), ["- - -"]);

    let (_, text, _) = audit(&["--tool", "pid"], log.as_str());
    assert!(
        text.contains(" /mcp                 tools/call pid ok "),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);

    let (_, sums, _) = audit(&["-o", "csv"], log.as_str());
    let month = &sums.lines().nth(1).unwrap()[.."2026-11".len()];
    assert_eq!(
        sums,
        format!(
            "month,key,person,requests,prompt_tokens,completion_tokens,untold\n\
             {month},,,1,0,0,0\n\
             {month},ada,,4,0,0,0\n\
             {month},bob,,4,0,0,0\n"
        )
    );
}
