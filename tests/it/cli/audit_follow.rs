//! `sealroom audit` on logs that go on.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::gate::bed::{PATIENCE, binary};

fn line(id: u32) -> String {
    format!(
        r#"{{"kind":"audit","time":"2026-11-23T10:00:01Z","id":"{id}","route":"other","status":404}}"#
    ) + "\n"
}

/// The command as a process, whose lines are read as they come.
struct Audit {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
}

impl Audit {
    fn start(flags: &[&str], logs: &[&Path]) -> Self {
        let mut child = Command::new(binary())
            .args(["audit", "--output", "json"])
            .args(flags)
            .args(logs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, out }
    }

    /// The id of the next line; `None` once it has ended.
    async fn id(&mut self) -> Option<u32> {
        let line = timeout(PATIENCE, self.out.next_line()).await.unwrap();
        let line: Value = serde_json::from_str(&line.unwrap()?).unwrap();
        line["id"].as_str().unwrap().parse().ok()
    }

    /// Says that nobody has seen enough, and gives the exit code and what was said of it.
    async fn interrupted(mut self) -> (Option<i32>, String) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
        assert_eq!(self.id().await, None);
        self.ended().await
    }

    async fn ended(mut self) -> (Option<i32>, String) {
        let ended = timeout(PATIENCE, self.child.wait()).await.unwrap();
        let (mut said, mut from) = (String::new(), self.child.stderr.take().unwrap());
        from.read_to_string(&mut said).await.unwrap();
        (ended.unwrap().code(), said)
    }
}

/// A log with its first line, and where it is.
fn log(id: u32) -> (TempDir, PathBuf, File) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gate.log");
    let mut file = made(&path);
    write(&mut file, &line(id));
    (dir, path, file)
}

fn made(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(path).unwrap()
}

fn write(file: &mut File, text: &str) {
    file.write_all(text.as_bytes()).unwrap();
}

#[rstest::rstest]
#[case::plainly(&[])]
#[case::asked_to(&["--follow"])]
#[tokio::test]
async fn the_standard_input_is_shown_as_it_comes(#[case] flags: &[&str]) {
    let mut audit = Audit::start(flags, &[]);
    let mut stdin = audit.child.stdin.take().unwrap();
    for id in [1, 2] {
        stdin.write_all(line(id).as_bytes()).await.unwrap();
        assert_eq!(audit.id().await, Some(id));
    }
    drop(stdin);
    assert_eq!(audit.id().await, None);
    assert_eq!(audit.ended().await, (Some(0), String::new()));
}

#[tokio::test]
async fn files_are_shown_as_they_grow() {
    let ((_here, one, mut first), (_there, two, mut second)) = (log(1), log(2));
    let mut audit = Audit::start(&["-f"], &[&one, &two]);
    assert_eq!((audit.id().await, audit.id().await), (Some(1), Some(2)));
    let text = line(3);
    let (begin, rest) = text.split_at(20);
    write(&mut first, begin);
    write(&mut second, &line(4));
    assert_eq!(audit.id().await, Some(4));
    write(&mut first, rest);
    assert_eq!(audit.id().await, Some(3));
    assert_eq!(audit.interrupted().await, (Some(0), String::new()));
}

#[tokio::test]
async fn a_rotated_log_is_shown_to_its_end_and_then_the_new_one() {
    let (dir, path, mut old) = log(1);
    let mut audit = Audit::start(&["-f"], &[&path]);
    assert_eq!(audit.id().await, Some(1));
    fs::rename(&path, dir.path().join("gate.log.1")).unwrap();
    write(&mut old, &line(2));
    // There is no new one yet.
    assert_eq!(audit.id().await, Some(2));
    write(&mut old, &line(3));
    write(&mut made(&path), &line(4));
    assert_eq!(audit.id().await, Some(3));
    assert_eq!(audit.id().await, Some(4));
    // One that is moved over it.
    let next = dir.path().join("next");
    write(&mut made(&next), &line(5));
    fs::rename(next, &path).unwrap();
    assert_eq!(audit.id().await, Some(5));
    write(&mut made(&path), &line(6));
    assert_eq!(audit.id().await, Some(6));
    assert_eq!(audit.interrupted().await, (Some(0), String::new()));
}

#[tokio::test]
async fn a_truncated_log_is_shown_from_its_beginning() {
    let (_dir, path, mut file) = log(1);
    write(&mut file, &line(2));
    write(&mut file, "half a l");
    let mut audit = Audit::start(&["-f"], &[&path]);
    assert_eq!((audit.id().await, audit.id().await), (Some(1), Some(2)));
    file.set_len(0).unwrap();
    write(&mut file, &line(3));
    assert_eq!(audit.id().await, Some(3));
    assert_eq!(audit.interrupted().await, (Some(0), String::new()));
}

/// A line that does not end takes no memory, and is told of if it could be one of ours.
#[rstest::rstest]
#[case::file(true)]
#[case::standard_input(false)]
#[tokio::test]
async fn a_line_without_an_end_is_not_kept(#[case] follow: bool) {
    let (_dir, path, mut file) = log(1);
    let mut audit = if follow {
        Audit::start(&["-f"], &[&path])
    } else {
        let mut audit = Audit::start(&[], &[]);
        let mut stdin = audit.child.stdin.take().unwrap();
        stdin.write_all(line(1).as_bytes()).await.unwrap();
        audit.child.stdin = Some(stdin);
        audit
    };
    assert_eq!(audit.id().await, Some(1));
    let before = memory(&audit);
    let begin = r#"{"kind":"audit","id":""#.to_owned();
    let pieces = iter::once(begin).chain(iter::repeat_n("x".repeat(1 << 20), 64));
    for piece in pieces.chain(["\n".to_owned(), line(2)]) {
        match &mut audit.child.stdin {
            Some(stdin) if !follow => stdin.write_all(piece.as_bytes()).await.unwrap(),
            _ => write(&mut file, &piece),
        }
    }
    assert_eq!(audit.id().await, Some(2));
    let more = memory(&audit) - before;
    assert!(more < 16 * 1024, "{more} KiB more");
    let (code, said) = if follow {
        audit.interrupted().await
    } else {
        drop(audit.child.stdin.take());
        audit.ended().await
    };
    assert_eq!(code, Some(1));
    assert!(said.contains("1 audit line"), "{said}");
}

/// The most that it has held by now, in KiB (`proc_pid_status(5)`).
fn memory(audit: &Audit) -> u64 {
    let status = format!("/proc/{}/status", audit.child.id().unwrap());
    let status = fs::read_to_string(status).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let most = most.unwrap().trim().trim_end_matches(" kB");
    most.parse().unwrap()
}

#[rstest::rstest]
#[case::sums(&["-f", "-o", "csv"], 2, "--output csv")]
#[case::input_beside_files(&["-f", "-", "/dev/null"], 2, "standard input")]
#[case::no_file(&["-f", "/dev/null"], 1, "/dev/null")]
#[case::nothing_there(&["-f", "/nowhere/at/all"], 1, "/nowhere/at/all")]
#[tokio::test]
async fn what_cannot_be_followed_is_refused(
    #[case] flags: &[&str],
    #[case] code: i32,
    #[case] why: &str,
) {
    let mut command = Command::new(binary());
    let command = command.arg("audit").args(flags).stdin(Stdio::null());
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(why), "{said}");
}
