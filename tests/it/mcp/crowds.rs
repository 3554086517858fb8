//! Hundreds of clients without sessions, with equal ids and several keys, over shared children.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::time::timeout;

use super::bed::{Bed, Client, messages, text};
use crate::gate::bed::PATIENCE;

const NAMES: [&str; 4] = ["ada", "bob", "cyd", "dan"];
const CLIENTS: usize = 200;
const CALLS: usize = 4;

/// One call, whose answer and progress are those of its own word.
async fn calls(client: &Client, word: &str, round: usize) {
    let tool = ["reverse", "progress"][round % 2];
    let params = json!({"name": tool, "arguments": {"word": word}, "_meta": {"progressToken": 1}});
    let answer = client.modern(&json!(1), "tools/call", params).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for said in messages(&answer) {
        if said["method"].is_string() {
            assert_eq!(said["params"]["progressToken"], 1, "{said}");
            assert_eq!(said["params"]["message"], word, "{said}");
        } else {
            assert_eq!(said["id"], 1, "{said}");
            let expected = ["", "done "][round % 2].to_owned() + word;
            assert_eq!(text(&said), expected);
        }
    }
}

/// Where each key has a child, clients with the same key share it.
#[rstest::rstest]
#[case::old_shared("legacy", "Shared")]
#[case::new_shared("modern", "Shared")]
#[case::old_own("legacy", "PerSession")]
#[tokio::test]
async fn no_answer_reaches_another_client_without_a_session(
    #[case] server: &str,
    #[case] isolation: &str,
) {
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| format!("key-of-{name}-0123456789abcdef");
    for name in NAMES {
        std::fs::write(keys.path().join(name), key(name)).unwrap();
    }
    let keys = keys.path().to_str().unwrap();
    let flags = ["--mcp-isolation", isolation, "--api-keys-dir", keys];
    let mut bed = Bed::start(&flags, &[server]).await;
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let name = NAMES[number % NAMES.len()];
            let client = Client {
                fields: format!("authorization: Bearer {}\r\n", key(name)),
                ..bed.client()
            };
            tokio::spawn(async move {
                for round in 0..CALLS {
                    calls(&client, &format!("{name}-{number}-{round}"), round).await;
                }
            })
        })
        .collect();
    // The audit is read meanwhile: when its lines find no room any more, the gate refuses what comes.
    let audited = async {
        let mut by_key = BTreeMap::new();
        for _ in 0..CLIENTS * CALLS {
            let line = bed.gate.audit_line().await;
            let said = (&line["rpc"], &line["outcome"]);
            assert_eq!(said, (&json!("tools/call"), &json!("ok")), "{line}");
            let name = line["key"].as_str().unwrap().to_owned();
            *by_key.entry(name).or_insert(0) += 1;
        }
        by_key
    };
    let answered = async {
        for task in tasks {
            timeout(PATIENCE * 3, task).await.unwrap().unwrap();
        }
    };
    let (by_key, ()) = tokio::join!(audited, answered);
    let each = CLIENTS * CALLS / NAMES.len();
    let expected = NAMES.map(|name| (name.to_owned(), each));
    assert_eq!(by_key, BTreeMap::from(expected));
}
