//! The lease decides what runs.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::time::{Duration, Instant};

use sealroom::seal::lease::{Runtime, Word};
use tokio::time::sleep;

use super::bed::{FakeGate, Launch, Lease, PATIENCE, alive, engine, family, file, gone};
use crate::gate::bed::Gate;

fn running(said: &Runtime) -> bool {
    *said == Runtime::Running
}

/// A launch whose engine listens.
async fn started(mode: &str, drain: u32) -> (FakeGate, Launch, Lease) {
    let gate = FakeGate::new();
    let args = [mode, &gate.text("runtime.sock"), &gate.text("pids")];
    let launch = Launch::start(gate.dir.path(), drain, &engine(&args));
    let mut lease = gate.accept().await;
    lease.hold(&Word::Granted, running).await;
    (gate, launch, lease)
}

#[derive(Clone, Copy)]
enum Loss {
    Revoked,
    Held,
    HangUp,
    Silence,
}

#[rstest::rstest]
#[case::revoked(Loss::Revoked)]
#[case::held(Loss::Held)]
#[case::gate_gone(Loss::HangUp)]
#[case::gate_silent(Loss::Silence)]
#[tokio::test]
async fn a_lost_lease_ends_every_process_and_the_next_one_starts_again(#[case] loss: Loss) {
    let (gate, launch, mut lease) = started("stubborn", 10).await;
    let pids = family(&gate.path("pids")).await;
    assert!(pids.iter().all(|pid| alive(*pid)));
    let mut lease = match loss {
        Loss::Revoked => {
            lease.say(&Word::Revoked).await;
            assert!(gone(&pids).await < Duration::from_secs(3));
            lease
        }
        Loss::Held => {
            lease.say(&Word::Held).await;
            assert!(gone(&pids).await < Duration::from_secs(3));
            lease
        }
        Loss::HangUp => {
            drop(lease);
            assert!(gone(&pids).await < Duration::from_secs(3));
            gate.accept().await
        }
        Loss::Silence => {
            let took = gone(&pids).await;
            assert!(
                took > Duration::from_millis(1500),
                "it waits for three seconds: {took:?}"
            );
            lease
        }
    };
    assert!(alive(launch.pid()), "launch waits for the next lease");
    std::fs::remove_file(gate.path("pids")).unwrap();
    lease.hold(&Word::Granted, running).await;
    let again = family(&gate.path("pids")).await;
    assert!(again.iter().all(|pid| alive(*pid) && !pids.contains(pid)));
}

/// The engine can write where its socket is.
#[tokio::test]
async fn what_an_engine_left_at_its_sockets_path_keeps_the_next_one_from_nothing() {
    let gate = FakeGate::new();
    std::fs::create_dir_all(gate.path("runtime.sock").join("more")).unwrap();
    let args = ["serve", &gate.text("runtime.sock"), &gate.text("pids")];
    let _launch = Launch::start(gate.dir.path(), 10, &engine(&args));
    let mut lease = gate.accept().await;
    let started = |said: &Runtime| matches!(said, Runtime::Running | Runtime::Ended { .. });
    let said = lease.hold(&Word::Granted, started).await;
    assert_eq!(said, Runtime::Running);
    let meta = std::fs::symlink_metadata(gate.path("runtime.sock"));
    assert!(meta.unwrap().file_type().is_socket());
}

#[tokio::test]
async fn nothing_starts_while_the_lease_is_held_back() {
    let gate = FakeGate::new();
    let args = ["serve", &gate.text("runtime.sock"), &gate.text("pids")];
    let _launch = Launch::start(gate.dir.path(), 10, &engine(&args));
    let mut lease = gate.accept().await;
    assert_eq!(lease.hear().await, Some(Runtime::Waiting));
    lease.hold_for(&Word::Held, Duration::from_secs(2)).await;
    assert!(!gate.path("pids").exists());
}

#[tokio::test]
async fn termination_waits_for_the_gate_and_ends_well() {
    let (gate, mut launch, mut lease) = started("serve", 40).await;
    let pids = family(&gate.path("pids")).await;
    launch.terminate();
    lease
        .hold(&Word::Granted, |said| *said == Runtime::Stopping)
        .await;
    lease.hold_for(&Word::Granted, Duration::from_secs(1)).await;
    assert!(alive(pids[0]), "a stream may be under way");
    lease.say(&Word::Drained).await;
    assert_eq!(launch.exit_code().await, Some(0));
    assert!(pids.iter().all(|pid| !alive(*pid)));
    assert!(
        file(&gate.path("pids"))
            .await
            .lines()
            .any(|line| line == "term")
    );
}

#[tokio::test]
async fn a_deaf_engine_is_killed_in_the_end() {
    let (gate, mut launch, mut lease) = started("stubborn", 40).await;
    let pids = family(&gate.path("pids")).await;
    launch.terminate();
    lease.say(&Word::Drained).await;
    let begun = Instant::now();
    while alive(launch.pid()) && launch.child.try_wait().unwrap().is_none() {
        // The gate repeats its word until its own end.
        let _ = tokio::time::timeout(Duration::from_millis(200), launch.child.wait()).await;
        if launch.child.id().is_none() {
            break;
        }
        // It may end between the wait and this.
        let _ = lease.try_say(&Word::Drained).await;
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!(launch.exit_code().await, Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(4));
    assert!(pids.iter().all(|pid| !alive(*pid)));
}

#[tokio::test]
async fn termination_has_a_deadline_of_its_own() {
    // A grace of 4 s leaves 3 s for streams.
    let (gate, mut launch, mut lease) = started("serve", 4).await;
    let pids = family(&gate.path("pids")).await;
    launch.terminate();
    let begun = Instant::now();
    while launch.child.try_wait().unwrap().is_none() {
        let _ = tokio::time::timeout(Duration::from_millis(200), launch.child.wait()).await;
        // It may end between the wait and this.
        let _ = lease.try_say(&Word::Granted).await;
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!(launch.exit_code().await, Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(2500));
    assert!(pids.iter().all(|pid| !alive(*pid)));
}

#[tokio::test]
async fn a_stale_socket_does_not_stop_the_engine_and_the_new_one_is_open_to_the_gate() {
    let gate = FakeGate::new();
    drop(std::os::unix::net::UnixListener::bind(gate.path("runtime.sock")).unwrap());
    let args = ["serve", &gate.text("runtime.sock"), &gate.text("pids")];
    let _launch = Launch::start(gate.dir.path(), 10, &engine(&args));
    let mut lease = gate.accept().await;
    lease
        .hold(&Word::Granted, |said| *said == Runtime::Starting)
        .await;
    lease.hold(&Word::Granted, running).await;
    let mode = std::fs::metadata(gate.path("runtime.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o666);
    tokio::net::UnixStream::connect(gate.path("runtime.sock"))
        .await
        .unwrap();
}

#[tokio::test]
async fn output_passes_until_the_engine_listens() {
    let (gate, mut launch, mut lease) = started("serve", 10).await;
    lease.hold_for(&Word::Granted, Duration::from_secs(2)).await;
    lease.say(&Word::Revoked).await;
    lease
        .hold(&Word::Revoked, |said| *said == Runtime::Waiting)
        .await;
    launch.terminate();
    let printed = launch.printed().await;
    for line in ["loading the model", "some warning"] {
        assert!(printed.contains(line), "{printed}");
    }
    assert!(!printed.contains("secret"), "{printed}");
    let ended = printed
        .lines()
        .find(|line| line.contains("engine ended"))
        .unwrap();
    let ended: serde_json::Value = serde_json::from_str(ended).unwrap();
    assert!(ended["dropped_bytes"].as_u64().unwrap() > 10, "{ended}");
    // What reaches the engine of the pod's environment.
    let noted = file(&gate.path("pids")).await;
    assert!(
        noted.contains("env CUDA_VISIBLE_DEVICES") && noted.contains("env HOME"),
        "{noted}"
    );
    for refused in ["KUBERNETES", "LLAMA_", "GGML_"] {
        assert!(!noted.contains(refused), "{noted}");
    }
}

/// Where the object asks for it, everything passes, each line as one line of JSON.
#[tokio::test]
async fn output_that_is_asked_for_passes_as_json() {
    let gate = FakeGate::new();
    let args = ["serve", &gate.text("runtime.sock"), &gate.text("pids")];
    let flags = ["--engine", "LlamaCpp", "--output", "Log"];
    let mut launch = Launch::start_as(gate.dir.path(), 10, &flags, &engine(&args));
    let mut lease = gate.accept().await;
    lease
        .hold(&Word::Granted, |said| *said == Runtime::Running)
        .await;
    lease.hold_for(&Word::Granted, Duration::from_secs(2)).await;
    launch.terminate();
    lease.say(&Word::Drained).await;
    let printed = launch.printed().await;
    let lines: Vec<serde_json::Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let engines = lines.iter().filter(|line| line["kind"] == "engine");
    let texts: Vec<&str> = engines.filter_map(|line| line["line"].as_str()).collect();
    let quoted = "a \"quoted\"\tline with {\"kind\":\"audit\"} and \u{1b}[31m";
    for text in ["loading the model", "the prompt was: secret", quoted] {
        assert!(texts.contains(&text), "{text}: {printed}");
    }
}

#[tokio::test]
async fn an_engine_that_ends_is_started_again_after_a_pause() {
    let gate = FakeGate::new();
    let mut launch = Launch::start(gate.dir.path(), 10, &engine(&["end", "3"]));
    let mut lease = gate.accept().await;
    let begun = Instant::now();
    for _ in 0..3 {
        lease
            .hold(&Word::Granted, |said| *said == Runtime::Starting)
            .await;
        let ended = lease
            .hold(&Word::Granted, |said| matches!(said, Runtime::Ended { .. }))
            .await;
        assert_eq!(ended, Runtime::Ended { code: 3 });
    }
    assert!(
        begun.elapsed() >= Duration::from_secs(3),
        "one second, then two"
    );
    launch.terminate();
    assert_eq!(launch.exit_code().await, Some(0));
    assert!(launch.printed().await.contains("cannot load"));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_and_tried_again() {
    let gate = FakeGate::new();
    let _launch = Launch::start(gate.dir.path(), 10, &["/nowhere/llama-server".to_owned()]);
    let mut lease = gate.accept().await;
    for _ in 0..2 {
        let ended = lease
            .hold(&Word::Granted, |said| matches!(said, Runtime::Ended { .. }))
            .await;
        assert_eq!(ended, Runtime::Ended { code: 127 });
    }
}

#[tokio::test]
async fn orphans_are_reaped() {
    let (_gate, launch, mut lease) = started("serve", 10).await;
    lease.hold_for(&Word::Granted, Duration::from_secs(2)).await;
    let parent = launch.pid().to_string();
    let zombies = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            let mut fields = rest.split(' ');
            fields.next() == Some("Z") && fields.next() == Some(&parent)
        });
    assert_eq!(zombies.count(), 0);
}

/// Both ends as they are.
#[tokio::test]
async fn a_gate_that_opens_or_dies_ends_the_engine() {
    let mut gate = Gate::start(&[]).await;
    let text = |name: &str| gate.path(name).to_str().unwrap().to_owned();
    let args = engine(&["stubborn", &text("runtime.sock"), &text("pids")]);
    let _launch = Launch::start(gate.dir.path(), 10, &args);
    sleep(Duration::from_secs(1)).await;
    assert!(!gate.path("pids").exists(), "nothing runs before the proof");
    assert_eq!(gate.sealz().await.locks, ["Kernel"]);

    gate.prove().await;
    let pids = family(&gate.path("pids")).await;
    gate.order_open("EgressOpen").await;
    assert!(gone(&pids).await < Duration::from_secs(3));
    assert!(gate.sealz().await.runtime_ran);
    std::fs::remove_file(gate.path("pids")).unwrap();

    gate.prove().await;
    let pids = family(&gate.path("pids")).await;
    let gate = gate.restart().await;
    assert!(gone(&pids).await < Duration::from_secs(3));
    assert!(!gate.sealz().await.runtime_ran);
}
