//! One child: its streams between the pipes and the gate's connection, and its end.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, pipe};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::family::{Family, MARK};
use crate::engine::Printed;
use crate::launch::output::Output;
use crate::launch::processes;

/// From the end of its input to SIGTERM, and from there to SIGKILL. Together shorter than what launch waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// For what a child has written before it ended, which a process of its own may hold open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Between two looks whether the gate has hung up on a child that does not read.
const LOOK: Duration = Duration::from_secs(1);
/// Read at once.
const CHUNK: usize = 16 * 1024;

/// Runs one child for this connection, until either ends.
pub async fn serve(stream: UnixStream, config: &Config, family: &Arc<Family>) {
    let child = match start(config, family) {
        Ok(child) => child,
        Err(error) => {
            tracing::error!(%error, "failed to start a child");
            return;
        }
    };
    let (from_gate, to_gate) = stream.into_split();
    let written = tokio::spawn(answers(child.stdout, to_gate, Arc::clone(&child.output)));
    let errors = Arc::clone(&child.output);
    tokio::spawn(async move { errors.follow(child.stderr).await });
    tokio::select! {
        // Its input ends with this, whoever ends first.
        () = input(from_gate, child.stdin) => {}
        () = child.ended.cancelled() => {}
        () = family.told_to_end() => {}
    }
    end(child.pid, &child.ended).await;
    let _ = timeout(LAST_WORDS, written).await;
    let dropped = child.output.dropped();
    tracing::info!(
        pid = child.pid.as_raw(),
        dropped_bytes = dropped,
        "a child is gone"
    );
}

struct Child {
    pid: Pid,
    ended: CancellationToken,
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: OwnedFd,
    output: Arc<Output>,
}

fn start(config: &Config, family: &Family) -> io::Result<Child> {
    let mark = format!("{:016x}", rand::random::<u64>());
    let mut environment = config.environment.clone();
    environment.push((MARK.into(), OsString::from(&mark)));
    let mut child = processes::spawn(&config.command, &environment, Stdio::piped())?;
    let pid = processes::pid(&child);
    // Known before anything else can fail, and before anybody is reaped.
    let ended = family.join(pid, mark);
    let pipe = || io::Error::other("a pipe is missing");
    let stdin = OwnedFd::from(child.stdin.take().ok_or_else(pipe)?);
    let stdout = OwnedFd::from(child.stdout.take().ok_or_else(pipe)?);
    let stderr = OwnedFd::from(child.stderr.take().ok_or_else(pipe)?);
    tracing::info!(pid = pid.as_raw(), "a child started");
    Ok(Child {
        pid,
        ended,
        stdin: pipe::Sender::from_owned_fd(stdin)?,
        stdout: pipe::Receiver::from_owned_fd(stdout)?,
        stderr,
        output: Arc::new(Output::new(Printed::Drop, Instant::now())),
    })
}

/// What the gate writes, until it ends or the child no longer reads. The gate's end is the end of the input, also while
/// the child takes nothing: what it has not taken nobody waits for then.
async fn input(mut from: OwnedReadHalf, mut to: pipe::Sender) {
    let mut chunk = vec![0u8; CHUNK];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let taken = tokio::select! {
            written = to.write_all(&chunk[..count]) => written.is_ok(),
            () = hung_up(&from) => false,
        };
        if !taken {
            return;
        }
    }
}

/// Ends once the gate has hung up. What is still to be read makes a socket ready all the time, so nobody can wait for
/// the end behind it: it is looked at now and then.
async fn hung_up(from: &OwnedReadHalf) {
    loop {
        sleep(LOOK).await;
        let ready = timeout(Duration::ZERO, from.ready(Interest::READABLE)).await;
        if matches!(ready, Ok(Ok(ready)) if ready.is_read_closed()) {
            return;
        }
    }
}

/// What the child writes. With its first bytes it has answered, and from then on it may know what clients sent: its
/// errors no longer pass. Once the gate is gone its output is read to its end all the same, since a child on a full
/// pipe does not notice that its input ended.
async fn answers(mut from: pipe::Receiver, to: impl AsyncWrite + Unpin, output: Arc<Output>) {
    let mut to = Some(to);
    let mut chunk = vec![0u8; CHUNK];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        output.listens();
        if let Some(gate) = &mut to
            && gate.write_all(&chunk[..count]).await.is_err()
        {
            to = None;
        }
    }
}

/// The end of a child whose input has ended: it may go by itself, then it is told, then it is killed.
async fn end(pid: Pid, ended: &CancellationToken) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        if timeout(PATIENCE, ended.cancelled()).await.is_ok() {
            return;
        }
        let _ = killpg(pid, signal);
        // Some take a second signal for another word, so it is sent only to one that has left its group.
        if getpgid(Some(pid)) != Ok(pid) {
            let _ = kill(pid, signal);
        }
    }
    ended.cancelled().await;
}
