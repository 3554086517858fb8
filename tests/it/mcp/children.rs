//! Children that die, hang, write garbage, flood, do not end, or leave others behind.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::bed::{Bed, Client, call};
use crate::gate::bed::PATIENCE;

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

async fn gone(pid: &str) -> Duration {
    let begun = Instant::now();
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(begun.elapsed() < PATIENCE, "{pid} lives");
        sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// More than a pipe takes.
fn stuff() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/stuff", "params": {"x": "x".repeat(100_000)}})
}

async fn leave(client: &Client) {
    let bye = format!("DELETE /mcp HTTP/1.1\r\n{}\r\n", client.head());
    assert_eq!(crate::gate::bed::raw(client.at, &bye).await.status, 200);
}

#[tokio::test]
async fn a_shared_child_that_dies_is_noticed_and_had_anew() {
    let flags = ["--mcp-isolation", "Shared"];
    let bed = Bed::start(&flags, &["legacy", "note=DIR/note"]).await;
    let (one, two) = (bed.session().await, bed.session().await);
    let pid = one.text("pid", "").await;
    let slow = two.clone();
    let waits = tokio::spawn(async move { slow.call(&json!(1), "slow", "60").await });
    bed.noted("call slow").await;
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    let answer = waits.await.unwrap();
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    bed.gate.until("/readyz", 200).await;
    let begun = Instant::now();
    loop {
        let answer = one.post(&call(&json!(1), "pid", "")).await;
        if answer.status == 200 {
            assert!(!answer.body.contains(&pid));
            break;
        }
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(begun.elapsed() < PATIENCE);
    }
    let noted = std::fs::read_to_string(bed.path("note")).unwrap();
    assert_eq!(
        noted.matches("call slow").count(),
        1,
        "nothing is run again: {noted}"
    );
}

#[tokio::test]
async fn a_child_that_hangs_is_not_ready_within_seconds() {
    let bed = Bed::start(&["--mcp-isolation", "Shared"], &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let hangs = client.clone();
    let hangs = tokio::spawn(async move { hangs.post(&call(&json!(1), "hang", "")).await });
    bed.noted("hangs").await;
    bed.gate.not_ready_within_seconds().await;
    let answer = client.post(&call(&json!(2), "echo", "x")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    hangs.abort();
}

/// Its notifications and its garbage are no sign that it would answer.
#[tokio::test]
async fn a_child_that_hangs_and_chatters_is_not_ready_within_seconds() {
    let bed = Bed::start(&["--mcp-isolation", "Shared"], &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let hangs = client.clone();
    let hangs = tokio::spawn(async move { hangs.post(&call(&json!(1), "chatter", "")).await });
    bed.noted("chatters").await;
    bed.gate.until("/readyz", 503).await;
    hangs.abort();
}

#[tokio::test]
async fn a_call_whose_client_goes_before_the_server_takes_it_is_over() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let hangs = client.clone();
    let hangs = tokio::spawn(async move { hangs.post(&call(&json!("h"), "hang", "")).await });
    bed.noted("hangs").await;
    // Nobody reads: the pipes fill, then what waits for the child in the gate.
    while timeout(Duration::from_secs(2), client.post(&stuff()))
        .await
        .is_ok()
    {}
    let body = call(&json!("again"), "echo", "x");
    assert!(
        timeout(Duration::from_secs(1), client.post(&body))
            .await
            .is_err()
    );
    // The child has ten seconds to make room.
    sleep(Duration::from_secs(12)).await;
    let answer = client.post(&body).await;
    assert_ne!(answer.status, 400, "the id is free: {answer:?}");
    hangs.abort();
}

#[tokio::test]
async fn garbage_and_floods_hurt_nobody() {
    let bed = Bed::start(&[], &["legacy"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("garbage", "").await, "clean");
    assert_eq!(client.text("errors", "").await, "told");
    let answer = client.call(&json!(1), "flood", "").await;
    assert_eq!(super::bed::text(&answer), "flooded");
    assert_eq!(client.text("echo", "x").await, "x");
}

#[tokio::test]
async fn an_answer_that_is_too_long_ends_the_child_and_the_call() {
    let bed = Bed::start(&["--max-body-bytes", "10000"], &["legacy"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("long", "39000").await.len(), 39_000);
    let answer = client.call(&json!(1), "long", "50000").await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
}

#[tokio::test]
async fn a_child_that_ignores_its_end_is_killed() {
    let bed = Bed::start(&[], &["legacy", "deaf", "note=DIR/note"]).await;
    let client = bed.session().await;
    let pid = client.text("pid", "").await;
    leave(&client).await;
    bed.noted("end of input").await;
    assert!(alive(&pid), "it has time");
    let took = gone(&pid).await;
    assert!(took > Duration::from_secs(2), "{took:?}");
}

/// The bridge waits for it to take its input, and nothing but the gate's end tells that nobody waits for that.
#[tokio::test]
async fn a_child_that_hangs_with_its_input_full_ends_with_its_session() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let client = bed.session().await;
    let pid = client.text("pid", "").await;
    let hangs = client.clone();
    let hangs = tokio::spawn(async move { hangs.post(&call(&json!("h"), "hang", "")).await });
    bed.noted("hangs").await;
    for _ in 0..3 {
        assert_eq!(client.post(&stuff()).await.status, 202);
    }
    leave(&client).await;
    gone(&pid).await;
    hangs.abort();
}

/// The gate's place is free when it hangs up, the bridge's when the child has gone.
#[tokio::test]
async fn a_new_session_waits_for_the_place_of_a_child_that_is_slow_to_end() {
    let flags = ["--mcp-max-children", "2"];
    let bed = Bed::unready(&flags, &["--max-children", "2"], &["legacy", "deaf"]).await;
    bed.gate.until("/readyz", 200).await;
    let client = bed.session().await;
    let pid = client.text("pid", "").await;
    leave(&client).await;
    let next = bed.session().await;
    assert_ne!(next.text("pid", "").await, pid);
}

#[tokio::test]
async fn what_a_child_leaves_behind_ends_with_it_and_nobody_else_does() {
    let bed = Bed::start(&[], &["legacy", "note=DIR/note"]).await;
    let (one, two) = (bed.session().await, bed.session().await);
    assert_eq!(one.text("fork", "").await, "forked");
    let stray = bed.noted("stray").await;
    let pid = two.text("pid", "").await;
    sleep(Duration::from_millis(300)).await;
    assert!(alive(&stray));
    one.call(&json!(1), "die", "").await;
    gone(&stray).await;
    assert_eq!(two.text("pid", "").await, pid);
}

#[tokio::test]
async fn a_server_that_ends_at_an_unknown_first_word_is_greeted_as_it_likes() {
    let bed = Bed::start(&[], &["legacy", "strict"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("echo", "x").await, "x");
}

/// Until then it knows no call.
#[tokio::test]
async fn what_a_child_prints_is_logged_until_it_has_answered() {
    let mut bed = Bed::start(&[], &["legacy"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("complain", "my diagnosis").await, "told");
    bed.bridge.terminate();
    let printed = bed.bridge.printed().await;
    assert!(printed.contains("starting"), "{printed}");
    assert!(!printed.contains("diagnosis"), "{printed}");
}

/// So many that a server which does not come up can say why, and no more.
#[tokio::test]
async fn two_hundred_lines_of_what_a_child_prints_pass_and_no_more() {
    let flags = ["--mcp-isolation", "Shared"];
    let mut bed = Bed::start(&flags, &["legacy", "wordy"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("errors", "").await, "told");
    bed.bridge.terminate();
    let printed = bed.bridge.printed().await;
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["kind"] == "engine")
        .collect();
    assert_eq!(lines.len(), 200, "{printed}");
    let longest = lines
        .iter()
        .map(|line| line["line"].as_str().unwrap().len());
    assert_eq!(longest.max(), Some(512), "{printed}");
    assert_eq!(lines[0]["line"], "starting");
    // Those of a second are bounded, too: the first seconds do not take all.
    let of_the_third = lines.iter().filter(|line| {
        let text = line["line"].as_str().unwrap();
        text.starts_with("loading part 3-")
    });
    assert!(of_the_third.count() > 0, "{printed}");
}

#[tokio::test]
async fn the_bridge_ends_with_everything_when_it_is_told() {
    let mut bed = Bed::start(&[], &["legacy"]).await;
    let client = bed.session().await;
    let pid = client.text("pid", "").await;
    bed.bridge.terminate();
    assert_eq!(bed.bridge.exit_code().await, Some(0));
    assert!(!alive(&pid));
}

#[tokio::test]
async fn an_opening_ends_every_child_at_once() {
    let mut bed = Bed::start(&[], &["legacy", "deaf", "note=DIR/note"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("fork", "").await, "forked");
    let (pid, stray) = (client.text("pid", "").await, bed.noted("stray").await);
    bed.gate.order_open("EgressOpen").await;
    assert!(gone(&pid).await + gone(&stray).await < Duration::from_secs(3));
    // The bridge knows it too, and signals nobody's number later.
    sleep(Duration::from_secs(1)).await;
    bed.bridge.terminate();
    let printed = bed.bridge.printed().await;
    assert!(printed.contains("a child is gone"), "{printed}");
}
