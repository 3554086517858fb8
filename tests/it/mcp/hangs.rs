//! Clients' own children that answer nothing any more, and calls that only take long.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::bed::{Bed, Client, call, message, text};
use crate::gate::bed::{Answer, PATIENCE};

/// A call may take so long, and a child that is asked has five seconds more after the first ten.
const SHORT: [&str; 2] = ["--answer-seconds", "5"];

async fn stateless(client: &Client, tool: &str) -> Answer {
    let params = json!({"name": tool, "arguments": {"word": "x"}});
    client.modern(&json!(7), "tools/call", params).await
}

/// The child that everybody without a session has where nobody is asked who they are.
#[rstest::rstest]
#[case::old("legacy")]
#[case::new("modern")]
#[tokio::test]
async fn the_child_of_a_caller_that_hangs_is_ended_and_had_anew(#[case] era: &str) {
    let bed = Bed::start(&SHORT, &[era, "note=DIR/note"]).await;
    let client = bed.client();
    let pid = text(&message(&stateless(&client, "pid").await));
    let hung = message(&stateless(&client, "hang").await);
    assert_eq!(hung["error"]["code"], -32603, "{hung}");
    // Who goes on asking keeps it from being idle, and not from its end.
    let begun = Instant::now();
    let next = loop {
        let answer = message(&stateless(&client, "pid").await);
        if answer["result"].is_object() {
            break text(&answer);
        }
        assert!(answer["error"].is_object(), "{answer}");
        assert!(begun.elapsed() < PATIENCE, "it hangs on");
    };
    assert_ne!(next, pid);
    assert_eq!(bed.noted_times("call hang"), 1, "nothing is run again");
    assert_eq!(bed.gate.admin_status("/readyz").await.0, 200);
}

#[tokio::test]
async fn the_child_of_a_session_that_hangs_is_ended_and_its_calls_hear_of_it() {
    let bed = Bed::start(&SHORT, &["legacy", "note=DIR/note"]).await;
    let (client, other) = (bed.session().await, bed.session().await);
    let pid = other.text("pid", "").await;
    let hung = client.call(&json!(1), "hang", "").await;
    assert_eq!(hung["error"]["code"], -32603, "{hung}");
    let begun = Instant::now();
    let mut last: Option<Value> = None;
    loop {
        let answer = client.post(&call(&json!(2), "echo", "x")).await;
        if answer.status == 404 {
            break;
        }
        last = Some(message(&answer));
        assert!(begun.elapsed() < PATIENCE, "it hangs on: {last:?}");
    }
    assert_eq!(last.unwrap()["error"]["code"], -32603);
    assert_eq!(other.text("pid", "").await, pid, "nobody else's ends");
    assert_eq!(bed.session().await.text("echo", "x").await, "x");
    assert_eq!(bed.noted_times("call hang"), 1, "nothing is run again");
}

/// It computes where it should answer, for longer than a ping waits for an answer and shorter than a call may take.
#[rstest::rstest]
#[case::old("legacy")]
#[case::new("modern")]
#[tokio::test]
async fn a_call_that_takes_long_and_answers_nothing_meanwhile_is_no_hang(#[case] era: &str) {
    let flags = ["--answer-seconds", "60"];
    let bed = Bed::start(&flags, &[era, "note=DIR/note"]).await;
    let client = bed.client();
    let params = json!({"name": "compute", "arguments": {"word": "18"}});
    let answer = client.modern(&json!(7), "tools/call", params).await;
    assert_eq!(text(&message(&answer)), "computed");
    sleep(Duration::from_secs(1)).await;
    let answer = stateless(&client, "echo").await;
    assert_eq!(text(&message(&answer)), "x");
}
