//! Children that take more memory than they may.

use assert_cmd::Command;
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::bed::{Bed, call, message};
use crate::launch::bed::gone;

/// In bytes; the server of these tests starts with less than one MiB.
const MEMORY: &str = "33554432";
/// How long an answer has to be to need more than that, and less than a line may have.
const MUCH: &str = "12000000";

#[tokio::test]
async fn a_child_that_takes_too_much_memory_ends_and_the_others_go_on() {
    let bridge = ["--child-memory", MEMORY];
    let mut bed = Bed::unready(&[], &bridge, &["legacy"]).await;
    bed.gate.until("/readyz", 200).await;
    let (eats, other) = (bed.session().await, bed.session().await);
    let pids = [eats.text("pid", "").await, other.text("pid", "").await];
    for pid in &pids {
        assert_eq!(may_have(pid), [MEMORY, MEMORY], "soft and hard");
    }
    assert_ne!(may_have(&bed.bridge.pid().to_string())[0], MEMORY);
    assert_eq!(eats.text("long", "1000").await.len(), 1000);
    let answer = eats.call(&json!(1), "long", MUCH).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    let pid = pids[0].parse().unwrap();
    gone(&[Pid::from_raw(pid)]).await;
    let after = eats.post(&call(&json!(2), "echo", "x")).await;
    assert_eq!(after.status, 404, "{after:?}");
    assert_eq!(message(&after)["error"]["code"], -32001, "{after:?}");

    assert_eq!(other.text("pid", "").await, pids[1]);
    let next = bed.session().await;
    assert_eq!(next.text("echo", "x").await, "x");
    assert_eq!(bed.gate.admin_status("/readyz").await.0, 200);
    // By itself, as perl ends where it gets no memory; its last words are dropped like all after its first answer.
    bed.bridge.terminate();
    let printed = bed.bridge.printed().await;
    let lines = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let ended = lines
        .filter(|line: &Value| line["message"] == "a child ended")
        .find(|line| line["pid"] == pid);
    assert_eq!(ended.unwrap()["code"], 1, "{printed}");
    assert!(!printed.contains("Out of memory"), "{printed}");
}

#[tokio::test]
async fn without_a_bound_it_gets_as_much() {
    let bed = Bed::start(&[], &["legacy"]).await;
    let client = bed.session().await;
    assert_eq!(client.text("long", MUCH).await.len().to_string(), MUCH);
}

/// `RLIMIT_DATA`, soft and hard (`proc_pid_limits(5)`).
fn may_have(pid: &str) -> [String; 2] {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max data size"));
    let mut fields = line.unwrap().split_whitespace().skip(3);
    [(); 2].map(|()| fields.next().unwrap().to_owned())
}

#[rstest::rstest]
#[case::no_program(&["bridge", "--within=16777216", "--", "/nowhere/at/all"], 1, "/nowhere/at/all: ")]
#[case::next_to_nothing(&["bridge", "--child-memory=1000", "--", "true"], 2, "1000")]
#[case::no_child(&["bridge", "--child-memory=16777216", "--http-port=3000", "--", "true"], 2, "--http-port")]
fn a_bound_that_cannot_be_kept_is_told(
    #[case] args: &[&str],
    #[case] code: i32,
    #[case] says: &str,
) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealroom"));
    let output = command.args(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(says), "{said}");
}
