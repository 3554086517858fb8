//! `sealroom bridge`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::Exit;
use crate::bridge::{self, Children, bounded, environment};
use crate::engine::{Printed, Sockets};
use crate::launch::program::{At, Program};
use crate::launch::{self, Config, drain_within, lock, ports};

/// What is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Lock {
    /// Every network socket.
    Kernel,
    /// Every network socket but TCP, and where the kernel has Landlock every port but those that are named
    Streams,
    /// Nothing: for servers with a declared way out
    None,
}

/// Flags of `sealroom bridge`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Copy this binary to DIR/sealroom and end
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    install: Option<PathBuf>,
    /// The Unix socket on which the gate asks for children
    #[arg(
        long,
        env = "SEALROOM_RUNTIME_SOCKET",
        default_value = "/run/sealroom/runtime/runtime.sock"
    )]
    socket: PathBuf,
    /// The Unix socket on which the gate gives the lease
    #[arg(
        long,
        env = "SEALROOM_LEASE_SOCKET",
        default_value = "/run/sealroom/gate/lease.sock"
    )]
    lease_socket: PathBuf,
    /// Most children at once
    #[arg(long, env = "SEALROOM_MAX_CHILDREN", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    max_children: u16,
    /// Most memory of each process of a child, in bytes: what it can write to and shares with nobody
    #[arg(long, env = "SEALROOM_CHILD_MEMORY", value_name = "BYTES", conflicts_with = "http_port", value_parser = clap::value_parser!(u64).range(bounded::LEAST..))]
    child_memory: Option<u64>,
    /// Take this limit and become COMMAND: so begins a child that has one
    #[arg(long, value_name = "BYTES", hide = true)]
    within: Option<u64>,
    /// What the kernel refuses to the server
    #[arg(long, env = "SEALROOM_LOCK", value_enum, default_value_t = Lock::Kernel)]
    lock: Lock,
    /// A TCP port of 127.0.0.1 that the server connects to; may be given several times
    #[arg(long, value_name = "PORT")]
    connect_port: Vec<u16>,
    /// The server speaks HTTP on this port of 127.0.0.1: it is one process, and no children are started
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// The pod's grace period: how long its end may take, the last stream included
    #[arg(long, env = "SEALROOM_DRAIN_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    drain_seconds: u64,
    /// The server's program and its arguments
    #[arg(
        last = true,
        required_unless_present = "install",
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

impl Args {
    /// Runs until it is told to stop.
    pub fn run(self) -> Exit {
        if let Some(bytes) = self.within {
            // Where a child prints, as the server's own program would.
            eprintln!("{}", bounded::enter(bytes, &self.command));
            return Exit::Passing;
        }
        crate::telemetry::init();
        if let Some(dir) = &self.install {
            return match launch::install(dir) {
                Ok(path) => {
                    tracing::info!(path = %path.display(), "installed");
                    Exit::Ok
                }
                Err(error) => {
                    tracing::error!(%error, dir = %dir.display(), "failed to install");
                    Exit::Passing
                }
            };
        }
        if let Err(message) = self.fit() {
            tracing::error!(message, "failed to read the flags");
            return Exit::Usage;
        }
        let locks = match self.engage() {
            Ok(locks) => locks,
            Err(error) => {
                tracing::error!(%error, "failed to lock; nothing is started");
                return Exit::Refused;
            }
        };
        let config = Config {
            lease_socket: self.lease_socket,
            drain: drain_within(Duration::from_secs(self.drain_seconds)),
            locks,
        };
        let environment = environment(std::env::vars_os());
        // No thread but this one has been started up to here, and none that follows escapes the filter.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let ran = runtime.and_then(|runtime| match self.http_port {
            Some(port) => {
                let program =
                    Program::new(self.command, environment, At::Port(port), Printed::Drop);
                runtime.block_on(launch::run(config, program))
            }
            None => {
                let children = Children::new(bridge::Config {
                    socket: self.socket,
                    command: bounded::command(self.child_memory, self.command),
                    environment,
                    max_children: self.max_children.into(),
                });
                runtime.block_on(launch::run(config, children))
            }
        });
        match ran {
            Ok(()) => Exit::Ok,
            Err(error) => {
                tracing::error!(%error, "failed to run");
                Exit::Passing
            }
        }
    }

    /// Whether the lock leaves what the other flags need.
    fn fit(&self) -> Result<(), &'static str> {
        let streams = self.http_port.is_some() || !self.connect_port.is_empty();
        if self.lock == Lock::Kernel && streams {
            return Err("--http-port and --connect-port need --lock=Streams or --lock=None");
        }
        if self
            .connect_port
            .iter()
            .chain(&self.http_port)
            .any(|port| *port == 0)
        {
            return Err("0 is no port");
        }
        Ok(())
    }

    fn engage(&self) -> Result<Vec<String>, lock::LockError> {
        let sockets = match self.lock {
            Lock::Kernel => Sockets::UnixOnly,
            Lock::Streams => Sockets::UnixAndStreams,
            Lock::None => {
                lock::keep_out()?;
                tracing::warn!("the server has a declared way out: the kernel locks nothing");
                return Ok(Vec::new());
            }
        };
        lock::engage(&lock::Left {
            sockets,
            ports: ports::Open {
                own: self.http_port,
                connect: self.connect_port.clone(),
                chosen: false,
            },
        })
    }
}
