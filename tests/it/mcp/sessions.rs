//! Sessions: whose they are, what goes on in them, and that nothing of one reaches another.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::bed::{Bed, Client, call, message, messages, open, text, until};
use crate::gate::bed::{Answer, PATIENCE, raw};

/// Hundreds of clients with equal ids, whose answers come in reverse order.
#[rstest::rstest]
#[case::shared("Shared", 300, 4)]
#[case::per_session("PerSession", 100, 4)]
#[tokio::test]
async fn no_answer_reaches_another_client(
    #[case] isolation: &str,
    #[case] clients: usize,
    #[case] calls: usize,
) {
    let flags = ["--mcp-isolation", isolation, "--mcp-max-children", "128"];
    let mut bed = Bed::unready(&flags, &["--max-children", "128"], &["legacy"]).await;
    bed.gate.until("/readyz", 200).await;
    let first = bed.client();
    let tasks: Vec<_> = (0..clients)
        .map(|number| {
            let mut client = first.clone();
            tokio::spawn(async move {
                client.initialize().await;
                for round in 0..calls {
                    let word = format!("{number}-{round}");
                    let tool = ["reverse", "progress"][round % 2];
                    let mut body = call(&json!(1), tool, &word);
                    body["params"]["_meta"] = json!({"progressToken": 1});
                    let answer = client.post(&body).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    for said in messages(&answer) {
                        match said["method"].as_str() {
                            Some(_) => {
                                assert_eq!(said["params"]["progressToken"], 1);
                                assert_eq!(said["params"]["message"], word);
                            }
                            None => {
                                assert_eq!(said["id"], 1);
                                let expected = ["", "done "][round % 2].to_owned() + &word;
                                assert_eq!(text(&said), expected);
                            }
                        }
                    }
                }
            })
        })
        .collect();
    let answered = async {
        for task in tasks {
            timeout(PATIENCE * 3, task).await.unwrap().unwrap();
        }
    };
    // The audit is read meanwhile: when its lines find no room any more, the gate refuses what comes.
    let audited = async {
        loop {
            bed.gate.audit_line().await;
        }
    };
    tokio::select! {
        () = answered => {}
        () = audited => {}
    }
}

#[tokio::test]
async fn each_session_has_a_child_of_its_own_and_ends_with_it() {
    let bed = Bed::start(&["--mcp-idle-seconds", "2"], &["legacy"]).await;
    let (one, two) = (bed.session().await, bed.session().await);
    let pids = [one.text("pid", "").await, two.text("pid", "").await];
    assert_ne!(pids[0], pids[1]);
    assert_eq!(one.text("pid", "").await, pids[0]);
    assert_eq!(
        one.call(&json!(1), "die", "").await["error"]["code"],
        -32603
    );
    let begun = Instant::now();
    while one.post(&call(&json!(1), "pid", "")).await.status != 404 {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!(two.text("pid", "").await, pids[1], "the other goes on");
    bed.gate.until("/readyz", 200).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(
        two.post(&call(&json!(1), "pid", "")).await.status,
        404,
        "it was idle"
    );
    gone(&pids[1]).await;
}

async fn gone(pid: &str) {
    let begun = Instant::now();
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(begun.elapsed() < PATIENCE, "{pid} lives");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_session_is_its_callers() {
    let keys = tempfile::tempdir().unwrap();
    for name in ["ada", "bob"] {
        std::fs::write(
            keys.path().join(name),
            format!("key-of-{name}-0123456789abcdef"),
        )
        .unwrap();
    }
    let flags = ["--api-keys-dir", keys.path().to_str().unwrap()];
    let mut bed = Bed::start(&flags, &["legacy"]).await;
    let mut client = bed.client();
    assert_eq!(client.post(&call(&json!(1), "echo", "x")).await.status, 401);
    let key = |name| format!("authorization: Bearer key-of-{name}-0123456789abcdef\r\n");
    client.fields = key("ada");
    client.initialize().await;
    assert_eq!(client.text("echo", "x").await, "x");
    let line = bed.audited("tools/call").await;
    let line = if line["status"] == 401 {
        bed.audited("tools/call").await
    } else {
        line
    };
    assert_eq!(
        (&line["key"], &line["tool"]),
        (&json!("ada"), &json!("echo"))
    );
    let thief = Client {
        fields: key("bob"),
        ..client.clone()
    };
    assert_eq!(thief.post(&call(&json!(1), "echo", "x")).await.status, 404);
    let listen = format!("GET /mcp HTTP/1.1\r\n{}\r\n", thief.head());
    assert_eq!(raw(client.at, &listen).await.status, 404);
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_cancelled_there() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let slow = client.clone();
    let waits = tokio::spawn(async move { slow.post(&call(&json!("s"), "slow", "60")).await });
    bed.noted("call slow").await;
    let again = client.post(&call(&json!("s"), "echo", "x")).await;
    assert_eq!(again.status, 400, "an id is used once at a time: {again:?}");
    let params = json!({"requestId": "s", "reason": "enough"});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(client.post(&cancel).await.status, 202);
    bed.noted("cancelled").await;
    let answer = timeout(PATIENCE, waits).await.unwrap().unwrap();
    assert!(messages(&answer).is_empty(), "{answer:?}");
}

#[tokio::test]
async fn what_the_server_asks_is_answered_by_the_client_that_it_asks() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let body = call(&json!(9), "ask", "").to_string();
    let mut stream = open(&client, &client.post_text(&body)).await;
    let asked = until(&mut stream, "roots/list").await;
    let mut data = asked
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"));
    let asked: Value = serde_json::from_str(&format!("{{{}", data.next_back().unwrap())).unwrap();
    let other = bed.session().await;
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": [{"uri": "file:///evil"}]}});
    assert_eq!(other.post(&answer).await.status, 202);
    let answer =
        json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": [{"uri": "file:///a"}]}});
    assert_eq!(client.post(&answer).await.status, 202);
    let end = until(&mut stream, "root file").await;
    assert!(end.contains("root file:///a"), "{end}");
    assert_eq!(
        client.post(&answer).await.status,
        202,
        "a second answer is nobody's"
    );
    assert_eq!(client.text("echo", "x").await, "x");
    let noted = std::fs::read_to_string(bed.path("note")).unwrap();
    assert!(!noted.contains("answer to nobody"), "{noted}");
}

#[tokio::test]
async fn a_call_that_waits_for_its_client_does_not_wait_for_a_slot_too() {
    let flags = ["--max-concurrent", "1", "--max-queued", "1"];
    let bed = Bed::start(&flags, &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let body = call(&json!(9), "ask", "").to_string();
    let mut stream = open(&client, &client.post_text(&body)).await;
    let asked = until(&mut stream, "roots/list").await;
    let id = asked
        .split("\"id\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"roots": [{"uri": "file:///a"}]}});
    let answered = timeout(PATIENCE, client.post(&answer)).await.unwrap();
    assert_eq!(answered.status, 202, "{answered:?}");
    until(&mut stream, "root file").await;
    // Nor does what gives a call up.
    let slow = client.clone();
    let waits = tokio::spawn(async move { slow.post(&call(&json!("s"), "slow", "60")).await });
    bed.noted("call slow").await;
    let params = json!({"requestId": "s"});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(client.post(&cancel).await.status, 202);
    bed.noted("cancelled").await;
    timeout(PATIENCE, waits).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shared_server_can_ask_nobody() {
    let bed = Bed::start(&["--mcp-isolation", "Shared"], &["legacy"]).await;
    let client = bed.session().await;
    let answer = client.call(&json!(1), "ask", "").await;
    assert_eq!(text(&answer), "root none");
}

/// What a client leaves behind takes no memory that another one needs.
#[tokio::test]
async fn answers_that_nobody_reads_give_way() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let size = (15 * 1024 * 1024).to_string();
    let mut streams = Vec::new();
    for number in 0..6 {
        let body = call(&json!(number), "late", &size).to_string();
        streams.push(open(&client, &client.post_text(&body)).await);
        let begun = Instant::now();
        while bed.noted_times("call late") <= number {
            assert!(begun.elapsed() < PATIENCE);
            sleep(Duration::from_millis(20)).await;
        }
    }
    drop(streams);
    let begun = Instant::now();
    // More than fit in.
    while bed.noted_times("said much") < 5 {
        assert!(begun.elapsed() < 4 * PATIENCE);
        sleep(Duration::from_millis(100)).await;
    }
    let other = bed.session().await;
    let long = timeout(PATIENCE, other.text("long", &size)).await.unwrap();
    assert_eq!(long.len(), 15 * 1024 * 1024);
    bed.gate.until("/readyz", 200).await;
}

#[tokio::test]
async fn calls_that_wait_for_their_slot_keep_their_share_of_the_bodies_memory() {
    let flags = [
        "--max-body-bytes",
        "1000000",
        "--max-concurrent",
        "1",
        "--max-queued",
        "40",
    ];
    let bed = Bed::start(&flags, &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let slow = client.clone();
    let slow = tokio::spawn(async move { slow.post(&call(&json!("s"), "slow", "60")).await });
    bed.noted("call slow").await;
    let word = "x".repeat(900_000);
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let (client, body) = (client.clone(), call(&json!(number), "echo", &word));
            tokio::spawn(async move { client.post(&body).await })
        })
        .collect();
    // Eight fit in; the others are told so.
    sleep(Duration::from_secs(8)).await;
    let mut refused = 0;
    for task in calls {
        if task.is_finished() {
            let answer = task.await.unwrap();
            assert_eq!(answer.status, 429, "{answer:?}");
            assert_eq!(message(&answer)["error"]["data"]["reason"], "body_memory");
            refused += 1;
        }
    }
    assert!(refused >= 3, "{refused}");
    slow.abort();
}

/// A call that takes three seconds: its stream, and the event after which that can be taken up again.
async fn begun(client: &Client) -> (TcpStream, String) {
    let body = call(&json!(9), "slow", "3").to_string();
    let mut stream = open(client, &client.post_text(&body)).await;
    let head = until(&mut stream, "\ndata: ").await;
    let id = head.lines().find_map(|line| line.strip_prefix("id: "));
    (stream, id.unwrap().trim().to_owned())
}

async fn resume(client: &Client, after: &str) -> Answer {
    let head = client.head();
    let request = format!("GET /mcp HTTP/1.1\r\n{head}last-event-id: {after}\r\n\r\n");
    raw(client.at, &request).await
}

#[tokio::test]
async fn a_stream_that_broke_is_taken_up_again() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let (stream, id) = begun(&client).await;
    drop(stream);
    let answer = resume(&client, &id).await;
    assert_eq!(text(&message(&answer)), "slept", "{answer:?}");
    let noted = std::fs::read_to_string(bed.path("note")).unwrap();
    assert!(
        !noted.contains("cancelled"),
        "a lost connection cancels nothing: {noted}"
    );
    let again = resume(&client, &id).await;
    assert_eq!(text(&message(&again)), "slept", "{again:?}");
    let last = id.replace("-0", "-1");
    let over = resume(&client, &last).await;
    assert_eq!(over.status, 400, "it says that it has all: {over:?}");
}

/// The gate has written all of it, and nobody tells it that its client did not get that.
#[tokio::test]
async fn an_answer_that_went_with_its_connection_is_there_for_who_comes_back() {
    let mut bed = Bed::start(&[], &["legacy"]).await;
    let client = bed.session().await;
    let (stream, id) = begun(&client).await;
    let line = bed.audited("tools/call").await;
    assert_eq!(line["outcome"], "ok", "{line}");
    // A reset: there is something in it that was not read.
    drop(stream);
    let answer = resume(&client, &id).await;
    assert_eq!(text(&message(&answer)), "slept", "{answer:?}");
}
