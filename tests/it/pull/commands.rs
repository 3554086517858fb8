//! The binary: exit codes, messages, kills and what a second run does.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use sealroom::pull::{Outcome, TerminationMessage};

use super::registry::{Body, Content, NAME, Reply, Request, Server};
use super::{Place, sample};
use crate::ports::free_port;

fn command(server: &Server, place: &Place) -> Command {
    let ca = place.file("ca.crt");
    fs::write(&ca, &server.ca).unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sealroom"));
    command
        .args(["pull", &server.reference(), "--output", "json", "--ca"])
        .arg(ca)
        .arg("--to")
        .arg(place.dir())
        .args(["--resolve", &format!("{NAME}=127.0.0.1")])
        .arg("--termination-message")
        .arg(place.file("message"));
    command
}

fn run(command: &mut Command) -> (Option<i32>, TerminationMessage) {
    let Output { status, stdout, .. } = command.output().unwrap();
    (status.code(), serde_json::from_slice(&stdout).unwrap())
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

/// Sends the first part of the blob and then nothing, and the rest to whoever asks for it.
fn half(content: &Content, request: &Request) -> Reply {
    let honest = content.honest(request);
    match request.nth_blob {
        0 if request.is_blob() => honest.body(|b| Body::Stall(b[..HALF].to_vec())),
        _ => honest,
    }
}

const HALF: usize = 1_700_001;

fn started(server: &Server, place: &Place) -> Child {
    let child = command(server, place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let name = sample::digest(&sample::gguf()).replace(':', "-");
    let partial = place.dir().join(".partial").join(name);
    eventually("half of the bytes are there", || {
        fs::metadata(&partial).is_ok_and(|meta| meta.len() == HALF as u64)
    });
    child
}

#[rstest::rstest]
#[case::kill(nix::sys::signal::SIGKILL, None)]
#[case::term(nix::sys::signal::SIGTERM, Some(1))]
fn no_byte_is_downloaded_twice(
    #[case] signal: nix::sys::signal::Signal,
    #[case] code: Option<i32>,
) {
    let server = Server::start(Content::model(), half);
    let place = Place::new();
    let mut child = started(&server, &place);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), code);
    assert_eq!(place.model(), None);

    let (code, message) = run(&mut command(&server, &place));
    assert_eq!(code, Some(0), "{message:?}");
    assert_eq!(place.model(), Some(sample::gguf()));
    assert_eq!(server.sent(), sample::gguf().len() as u64);
    assert_eq!(server.blob_requests()[1].range.unwrap().0, HALF as u64);
    assert!(!place.dir().join(".partial").exists());
}

#[test]
fn two_at_once_do_not_meet() {
    let server = Server::start(Content::model(), half);
    let place = Place::new();
    let mut child = started(&server, &place);
    let (code, message) = run(&mut command(&server, &place));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((code, message.reason.as_str()), (Some(1), "VolumeInUse"));
}

/// Also where the process had the time to note how far it came.
#[rstest::rstest]
#[case::kill(nix::sys::signal::SIGKILL)]
#[case::term(nix::sys::signal::SIGTERM)]
fn altered_leftovers_are_noticed_and_pulled_again(#[case] signal: nix::sys::signal::Signal) {
    let server = Server::start(Content::model(), half);
    let place = Place::new();
    let mut child = started(&server, &place);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
    child.wait().unwrap();
    let partial = place
        .dir()
        .join(".partial")
        .join(sample::digest(&sample::gguf()).replace(':', "-"));
    let mut bytes = fs::read(&partial).unwrap();
    bytes[1_000_000] ^= 1;
    fs::write(&partial, bytes).unwrap();
    let (code, message) = run(&mut command(&server, &place));
    assert_eq!(code, Some(0), "{message:?}");
    assert_eq!(place.model(), Some(sample::gguf()));
}

#[test]
fn a_model_without_a_record_goes_before_the_first_byte_comes() {
    let server = Server::start(Content::model(), half);
    let place = Place::new();
    fs::create_dir_all(place.dir()).unwrap();
    fs::write(place.dir().join("model.gguf"), "anything").unwrap();
    let mut child = started(&server, &place);
    assert_eq!(place.model(), None);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_second_run_asks_nobody_and_heals_what_was_altered() {
    let server = Server::honest(Content::model());
    let place = Place::new();
    let (code, first) = run(&mut command(&server, &place));
    assert_eq!((code, first.result), (Some(0), Outcome::Verified));
    let written: TerminationMessage =
        serde_json::from_slice(&fs::read(place.file("message")).unwrap()).unwrap();
    assert_eq!(written, first);
    let requests = server.requests().len();

    assert_eq!(run(&mut command(&server, &place)), (Some(0), first.clone()));
    assert_eq!(
        run(command(&server, &place).arg("--reverify")),
        (Some(0), first.clone())
    );
    assert_eq!(server.requests().len(), requests);

    let model = place.dir().join("model.gguf");
    let mut altered = sample::gguf();
    altered[3_000_000] ^= 1;
    fs::write(&model, &altered).unwrap();
    assert_eq!(
        run(command(&server, &place).arg("--reverify")),
        (Some(0), first.clone())
    );
    assert_eq!(place.model(), Some(sample::gguf()));
    fs::write(&model, &altered[..1_000]).unwrap();
    assert_eq!(run(&mut command(&server, &place)), (Some(0), first));
    assert_eq!(place.model(), Some(sample::gguf()));
}

#[test]
fn a_directory_keeps_the_artifact_it_has() {
    let place = Place::new();
    let server = Server::honest(Content::model());
    assert_eq!(run(&mut command(&server, &place)).0, Some(0));
    let mut other = sample::gguf();
    other.push(0);
    let server = Server::honest(Content::of(other));
    let (code, message) = run(&mut command(&server, &place));
    assert_eq!((code, message.reason.as_str()), (Some(1), "VolumeInUse"));
    assert_eq!(place.model(), Some(sample::gguf()));
}

#[rstest::rstest]
#[case::undeclared(&["--allow-host", "other.test"], 4, "RegistryNotDeclared")]
#[case::too_large(&["--max-bytes", "1000"], 3, "TooLarge")]
#[case::missing_secret(&["--auth-file", "/nonexistent/.dockerconfigjson"], 1, "SecretMissing")]
#[case::planned(&["--plan"], 0, "Planned")]
fn exit_codes(#[case] flags: &[&str], #[case] code: i32, #[case] reason: &str) {
    let server = Server::honest(Content::model());
    let place = Place::new();
    let (found, message) = run(command(&server, &place).args(flags));
    assert_eq!(
        (found, message.reason.as_str()),
        (Some(code), reason),
        "{}",
        message.message
    );
    assert_eq!(place.model(), None);
}

#[test]
fn a_volume_that_is_too_small_says_so_before_the_first_byte() {
    let blob = sample::gguf();
    let manifest = sample::manifest(&sample::digest(&blob), 1 << 60, "m.gguf");
    let server = Server::honest(Content { manifest, blob });
    let place = Place::new();
    let (code, message) = run(&mut command(&server, &place));
    assert_eq!((code, message.reason.as_str()), (Some(5), "VolumeTooSmall"));
    assert_eq!(server.blob_requests().len(), 0);
}

#[test]
fn usage_is_two() {
    let binary = assert_cmd::cargo::cargo_bin!("sealroom");
    let right = format!("registry.test/m@{}", sample::digest(b""));
    for arguments in [
        &["pull", "registry.test/m:latest", "--to", "/tmp"][..],
        &["pull"],
        &["pull", &right, "--plan", "--parallel", "0"],
        &["pull", &right, "--plan", "--parallel", "17"],
    ] {
        let output = Command::new(binary).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
}

/// An artifact is one file, and a file comes in one piece: docs/design/0032.
#[rstest::rstest]
#[case::one("1")]
#[case::most("16")]
fn more_files_at_once_than_there_are_change_nothing(#[case] parallel: &str) {
    let server = Server::honest(Content::model());
    let place = Place::new();
    let (code, message) = run(command(&server, &place).args(["--parallel", parallel]));
    assert_eq!(code, Some(0), "{message:?}");
    assert_eq!(place.model(), Some(sample::gguf()));
    assert_eq!(server.blob_requests().len(), 1);
    assert_eq!(server.blob_requests()[0].range, None);
}

#[test]
fn help_says_what_parallel_means() {
    let binary = assert_cmd::cargo::cargo_bin!("sealroom");
    let output = Command::new(binary)
        .args(["pull", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, about) = help.split_once("--parallel <FILES>").expect("it is shown");
    let about = about.split("--wait").next().unwrap();
    assert!(about.contains("more than 1 changes nothing"), "{about}");
}

#[test]
fn progress_is_told_while_bytes_come() {
    let server = Server::start(Content::model(), half);
    let place = Place::new();
    let port = free_port().port();
    let mut child = command(&server, &place)
        .args(["--progress-listen", &format!("127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut last = String::new();
    let expected = format!(
        "{{\"v\":1,\"phase\":\"Pulling\",\"bytes\":{HALF},\"total\":{},\"waitingFor\":null}}",
        sample::gguf().len()
    );
    eventually("the half is reported", || {
        last.clear();
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
            return false;
        };
        let _ = stream.write_all(b"GET /progress HTTP/1.1\r\nhost: x\r\n\r\n");
        let _ = stream.read_to_string(&mut last);
        last.ends_with(&expected)
    });
    child.kill().unwrap();
    child.wait().unwrap();
}
