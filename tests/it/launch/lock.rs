//! The kernel lock, tried from inside.

use std::collections::BTreeMap;

use sealroom::seal::lease::{Runtime, Word};
use tokio::process::Command;

use super::bed::{FakeGate, Launch, alive, binary, engine, file, under_lease};

const EACCES: &str = "13";

fn report(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut by_call: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let (call, got) = line.split_once(' ').unwrap();
        by_call
            .entry(call.to_owned())
            .or_default()
            .push(got.to_owned());
    }
    by_call
}

#[tokio::test]
async fn no_network_socket_can_be_made_inside() {
    let gate = FakeGate::new();
    let path = gate.text("report");
    let _launch = Launch::start(gate.dir.path(), 10, &engine(&["sockets", &path]));
    let mut lease = gate.accept().await;
    assert_eq!(
        lease.hello,
        Runtime::Hello {
            locks: vec!["Kernel".to_owned()]
        }
    );
    lease
        .hold(&Word::Granted, |said| *said == Runtime::Starting)
        .await;
    let locked = report(&under_lease(&mut lease, &gate.path("report")).await);
    assert!(locked.len() > 47 * 3);
    for (call, got) in &locked {
        match call.as_str() {
            // Streams and datagrams pass; a raw socket of AF_UNIX is a datagram.
            "socket/1" | "socketpair/1" => assert_eq!(*got, ["made", "made", "made"], "{call}"),
            _ => assert!(got.iter().all(|got| got == EACCES), "{call}: {got:?}"),
        }
    }

    // The same program outside: what was refused above is there to be had.
    let path = gate.text("free");
    let mut free = Command::new("/usr/bin/perl")
        .args(&engine(&["sockets", &path])[1..])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let open = report(&file(&gate.path("free")).await);
    free.kill().await.unwrap();
    for call in ["socket/2", "socket/16", "ptrace"] {
        assert!(
            open[call].iter().any(|got| got == "made"),
            "{call}: {:?}",
            open[call]
        );
    }
    for call in ["x32/2", "io_uring_enter", "pidfd_getfd", "disguised"] {
        assert!(
            open[call].iter().all(|got| got != EACCES),
            "{call}: {:?}",
            open[call]
        );
    }
}

/// An engine has launch's own uid, as in a pod, and could otherwise write into launch's memory and keep it
/// from obeying.
#[tokio::test]
async fn an_engine_cannot_reach_into_launch() {
    let gate = FakeGate::new();
    std::fs::copy(binary(), gate.path("sealroom")).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/launch/engine.pl");
    std::fs::copy(script, gate.path("engine.pl")).unwrap();
    for path in ["", "lease.sock", "sealroom", "engine.pl"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(gate.path(path), mode).unwrap();
    }
    let mut command = Command::new(gate.path("sealroom"));
    command
        .args(["launch", "--lease-socket"])
        .arg(gate.path("lease.sock"));
    command
        .arg("--runtime-socket")
        .arg(gate.path("runtime.sock"))
        .arg("--");
    command.args([
        "/usr/bin/perl".into(),
        gate.path("engine.pl"),
        "memory".into(),
    ]);
    command.arg(gate.path("report"));
    if nix::unistd::geteuid().is_root() {
        command.uid(65_532).gid(65_532);
    }
    let launch = Launch::spawn(&mut command);
    let mut lease = gate.accept().await;
    let text = under_lease(&mut lease, &gate.path("report")).await;
    // Its own memory is its own affair: the call as such works.
    assert_eq!(text, "own made\nparent 13\n");
    assert!(alive(launch.pid()));
}

#[tokio::test]
async fn the_shipped_binary_has_no_way_around_the_lock() {
    let ended = Command::new(binary())
        .args(["launch", "--no-kernel-lock", "--", "/bin/true"])
        .output()
        .await
        .unwrap();
    if cfg!(feature = "kernel-lock-off") {
        panic!("the tests run against the shipped set of features");
    }
    assert_eq!(ended.status.code(), Some(2));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        said.contains("unexpected argument '--no-kernel-lock'"),
        "{said}"
    );
    let bytes = std::fs::read(binary()).unwrap();
    let flag = b"no-kernel-lock";
    assert!(!bytes.windows(flag.len()).any(|part| part == flag));
}

#[tokio::test]
async fn the_binary_installs_itself() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let install = |dir: std::path::PathBuf| async move {
        let mut command = Command::new(binary());
        command.args(["launch", "--install"]).arg(dir);
        command.output().await.unwrap().status.code()
    };
    for _ in 0..2 {
        assert_eq!(install(dir.path().to_owned()).await, Some(0));
    }
    let copy = dir.path().join("sealroom");
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(
        std::fs::read(&copy).unwrap(),
        std::fs::read(binary()).unwrap()
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(install(dir.path().join("missing")).await, Some(1));
}
