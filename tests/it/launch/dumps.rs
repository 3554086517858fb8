//! What would be left on disk of a process that crashes.

use sealroom::seal::lease::{Runtime, Word};

use super::bed::{FakeGate, Launch, engine, under_lease};
use crate::gate::bed::Gate;

/// The line of a process's limits (proc_pid_limits(5)) about core files, without its unit.
fn core_files(limits: &str) -> Vec<&str> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"));
    line.unwrap().split_whitespace().take(2).collect()
}

/// Zero is what a machine may have set for everybody: then it shows nothing of ours.
fn leaves_none(limits: &str) {
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    let none = if core_files(&own)[1] == "0" { "0" } else { "1" };
    assert_eq!(core_files(limits), [none, none], "{limits}");
}

#[tokio::test]
async fn neither_launch_nor_its_engine_leaves_a_core_file() {
    let gate = FakeGate::new();
    let path = gate.text("limits");
    let launch = Launch::start(gate.dir.path(), 10, &engine(&["limits", &path]));
    let mut lease = gate.accept().await;
    lease
        .hold(&Word::Granted, |said| *said == Runtime::Starting)
        .await;
    let of_engine = under_lease(&mut lease, &gate.path("limits")).await;
    let of_launch = std::fs::read_to_string(format!("/proc/{}/limits", launch.pid())).unwrap();
    for limits in [&of_engine, &of_launch] {
        leaves_none(limits);
    }
}

#[tokio::test]
async fn the_gate_leaves_no_core_file() {
    let gate = Gate::start(&[]).await;
    let limits = format!("/proc/{}/limits", gate.child.id().unwrap());
    leaves_none(&std::fs::read_to_string(limits).unwrap());
}
