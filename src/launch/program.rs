//! A program that runs under the lease and listens for the gate: an engine, or an MCP server that speaks HTTP.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::output::Output;
use super::{Runs, processes, socket};
use crate::engine::Printed;

/// For a loopback port to answer.
const CONNECT: Duration = Duration::from_millis(50);

/// Where the program will listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// On a Unix socket.
    Unix(PathBuf),
    /// On a TCP port of 127.0.0.1.
    Port(u16),
}

/// The program and, while it runs, its process.
#[derive(Debug)]
pub struct Program {
    command: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    at: At,
    printed: Printed,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    output: Arc<Output>,
}

impl Program {
    /// With its arguments, all of its environment, where it will listen, and what becomes then of what it prints.
    #[must_use]
    pub fn new(
        command: Vec<OsString>,
        environment: Vec<(OsString, OsString)>,
        at: At,
        printed: Printed,
    ) -> Self {
        Self {
            command,
            environment,
            at,
            printed,
            process: None,
        }
    }
}

/// Opens a program's socket, once it is there, to the gate, which runs as another uid where the platform chooses so:
/// who may connect is decided by who mounts the directory.
fn opened(path: &Path) -> bool {
    let there = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    there && fs::set_permissions(path, fs::Permissions::from_mode(0o666)).is_ok()
}

impl Runs for Program {
    fn start(&mut self) -> io::Result<()> {
        if !processes::kill_all(None) {
            return Err(io::Error::other("processes of the last engine are left"));
        }
        if let At::Unix(path) = &self.at {
            socket::clear(path)?;
        }
        let mut child = processes::spawn(&self.command, &self.environment, Stdio::null())?;
        let output = Arc::new(Output::new(self.printed, Instant::now()));
        let pipes = [
            child.stdout.take().map(OwnedFd::from),
            child.stderr.take().map(OwnedFd::from),
        ];
        for pipe in pipes.into_iter().flatten() {
            let output = Arc::clone(&output);
            tokio::spawn(async move { output.follow(pipe).await });
        }
        let pid = processes::pid(&child);
        self.process = Some(Process { pid, output });
        Ok(())
    }

    fn listens(&mut self) -> bool {
        let listens = match &self.at {
            At::Unix(path) => opened(path),
            At::Port(port) => {
                let at = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
                TcpStream::connect_timeout(&at, CONNECT).is_ok()
            }
        };
        if let (true, Some(process)) = (listens, &self.process) {
            // Before the gate hears of it: from then on the program may know a prompt.
            process.output.listens();
        }
        listens
    }

    fn ended(&mut self, reaped: &[(Pid, i32)]) -> Option<i32> {
        let pid = self.process.as_ref()?.pid;
        let found = reaped.iter().find(|(dead, _)| *dead == pid);
        found.map(|(_, code)| *code)
    }

    fn term(&mut self) {
        if let Some(process) = &self.process {
            processes::term(process.pid);
        }
    }

    fn kill(&mut self) {
        let process = self.process.take();
        let clean = processes::kill_all(process.as_ref().map(|process| process.pid));
        let dropped = process.map_or(0, |process| process.output.dropped());
        tracing::info!(clean, dropped_bytes = dropped, "engine ended");
    }
}
