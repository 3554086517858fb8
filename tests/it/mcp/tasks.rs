//! Tasks of 2025-11-25: a child that several share would tell those of one client to another.

use serde_json::{Value, json};

use super::bed::{Bed, Client, call, message, text};

/// What a call and two ways to ask for all tasks come to.
async fn asks(client: &Client, modern: bool) -> [Value; 3] {
    let mut works = call(&json!(1), "echo", "x");
    works["params"]["task"] = json!({"ttl": 60_000});
    let list = |method: &str| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}});
    let mut said = Vec::new();
    for request in [works, list("tasks/list"), list("Tasks/List")] {
        let answer = if modern {
            let method = request["method"].as_str().unwrap();
            let params = request["params"].clone();
            client.modern(&json!(1), method, params).await
        } else {
            client.post(&request).await
        };
        said.push(message(&answer));
    }
    said.try_into().unwrap()
}

#[rstest::rstest]
#[case::of_a_session(false)]
#[case::without_one(true)]
#[tokio::test]
async fn where_a_child_is_shared_nobody_hears_of_tasks(#[case] modern: bool) {
    let bed = Bed::start(&["--mcp-isolation", "Shared"], &["legacy", "tasks"]).await;
    let mut client = bed.client();
    let hello = if modern {
        let id = json!(1);
        message(&client.modern(&id, "server/discover", json!({})).await)
    } else {
        client.initialize().await
    };
    let has = &hello["result"]["capabilities"];
    assert!(
        has["tools"].is_object() && has["tasks"].is_null(),
        "{hello}"
    );
    let [answer, list, other_case] = asks(&client, modern).await;
    assert_eq!(text(&answer), "x", "it is answered as any other call");
    assert_eq!(list["error"]["code"], -32601, "{list}");
    assert_eq!(other_case["error"]["code"], -32601, "{other_case}");
}

#[tokio::test]
async fn a_session_with_a_child_of_its_own_has_tasks() {
    let bed = Bed::start(&[], &["legacy", "tasks"]).await;
    let mut client = bed.client();
    let hello = client.initialize().await;
    let has = &hello["result"]["capabilities"];
    assert!(has["tasks"].is_object(), "{hello}");
    let [answer, list, _] = asks(&client, false).await;
    assert_eq!(answer["result"]["task"]["taskId"], "new", "{answer}");
    assert!(list["result"]["tasks"].is_array(), "{list}");
}
