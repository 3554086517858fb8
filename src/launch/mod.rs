//! PID 1 of the runtime container: locks itself, runs the engine as its child only while the gate says
//! sealed, stops it when it does not.
//!
//! [`filter`], [`ports`], [`decisions`] and [`lock`] are the kernel lock, [`supervisor`] decides, [`link`] hears the gate,
//! [`processes`] starts and ends, [`output`] says what of an engine's output passes, [`layout`] makes a store.

pub mod bpf;
pub mod decisions;
pub mod filter;
pub mod layout;
pub mod lines;
pub mod link;
pub mod lock;
pub mod output;
pub mod ports;
pub mod processes;
pub mod supervisor;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::engine::{self, Listens, Place};
use crate::seal::lease::Runtime;
use link::{Event, Link};
use output::Output;
use supervisor::{Action, Input, Supervisor};

/// How often the clock and the engine's socket are looked at.
const TICK: Duration = Duration::from_millis(100);

/// For a loopback port to answer.
const CONNECT: Duration = Duration::from_millis(50);

/// What launch needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the gate gives the lease.
    pub lease_socket: PathBuf,
    /// Which engine it is.
    pub engine: engine::Engine,
    /// Where the engine will listen, if on a Unix socket.
    pub runtime_socket: PathBuf,
    /// Where on 127.0.0.1 it will listen, if over TCP.
    pub runtime_port: u16,
    /// The directory of its store, if it has one.
    pub store: String,
    /// How long SIGTERM waits for the last stream.
    pub drain: Duration,
    /// The locks that hold.
    pub locks: Vec<String>,
    /// The engine's program and arguments.
    pub command: Vec<OsString>,
}

/// How long launch waits for the last stream out of a pod's `terminationGracePeriodSeconds`: the rest is for
/// the engine's own end, before the kubelet kills the container.
#[must_use]
pub fn drain_within(grace: Duration) -> Duration {
    grace - (grace / 4).min(Duration::from_secs(7))
}

/// Copies the running binary to `dir/sealroom`, mode 0755, in one step.
///
/// # Errors
/// Reading the binary or writing the directory fails.
pub fn install(dir: &Path) -> io::Result<PathBuf> {
    let (part, whole) = (dir.join(".sealroom.part"), dir.join("sealroom"));
    fs::copy("/proc/self/exe", &part)?;
    fs::set_permissions(&part, fs::Permissions::from_mode(0o755))?;
    fs::rename(&part, &whole)?;
    Ok(whole)
}

/// Runs until it is terminated. The caller has engaged the lock before any thread was started, and runs this
/// on a current-thread runtime.
///
/// # Errors
/// Signals cannot be awaited.
pub async fn run(config: Config) -> io::Result<()> {
    if std::process::id() != 1 {
        // PID 1 gets orphans anyway.
        nix::sys::prctl::set_child_subreaper(true)?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut child = signal(SignalKind::child())?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut launch = Launch {
        link: Link::new(config.lease_socket.clone(), config.locks.clone()),
        supervisor: Supervisor::new(config.drain, Instant::now()),
        engine: None,
        config,
    };
    tracing::info!(locks = ?launch.config.locks, "waiting for the lease");
    loop {
        let input = tokio::select! {
            // An order to stop comes before anything else that is ready.
            biased;
            event = launch.link.next() => match event {
                Event::Word(word) => Input::Word(word),
                Event::Lost => Input::Lost,
                Event::Connected => {
                    let phase = launch.supervisor.phase();
                    launch.link.say(&phase).await;
                    continue;
                }
            },
            _ = terminate.recv() => Input::Terminate,
            _ = interrupt.recv() => Input::Terminate,
            _ = child.recv() => launch.reaped(),
            _ = tick.tick() => launch.looked(),
        };
        if launch.handle(input).await {
            return Ok(());
        }
    }
}

struct Engine {
    pid: Pid,
    output: Arc<Output>,
}

struct Launch {
    config: Config,
    link: Link,
    supervisor: Supervisor,
    engine: Option<Engine>,
}

impl Launch {
    /// Collects the dead, adopted orphans among them.
    fn reaped(&mut self) -> Input {
        let engine = self.engine.as_ref().map(|engine| engine.pid);
        processes::reap()
            .into_iter()
            .find(|(pid, _)| Some(*pid) == engine)
            .map_or(Input::Tick, |(_, code)| Input::Exited(code))
    }

    /// Sees whether the engine listens.
    fn looked(&mut self) -> Input {
        if self.supervisor.phase() != Runtime::Starting {
            return Input::Tick;
        }
        let listens = match self.config.engine.particulars().listens() {
            Listens::Unix => self.opened(),
            Listens::Tcp(_) => {
                let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.config.runtime_port));
                TcpStream::connect_timeout(&at, CONNECT).is_ok()
            }
        };
        if !listens {
            return Input::Tick;
        }
        if let Some(engine) = &self.engine {
            // Before the gate hears of it: from then on the engine may know a prompt.
            engine.output.shut();
        }
        Input::Listening
    }

    /// Opens the engine's socket, once it is there, to the gate, which runs as another uid where the platform
    /// chooses so: who may connect is decided by who mounts the directory.
    fn opened(&self) -> bool {
        let path = &self.config.runtime_socket;
        let there = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
        there && fs::set_permissions(path, fs::Permissions::from_mode(0o666)).is_ok()
    }

    /// Does what follows from `input`; true when launch is to end.
    async fn handle(&mut self, input: Input) -> bool {
        if let Input::Word(_) | Input::Tick = input {
        } else {
            tracing::info!(event = ?input, "event");
        }
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for action in self.supervisor.handle(input, Instant::now()) {
                match action {
                    Action::Start => {
                        if let Err(error) = self.start() {
                            tracing::error!(%error, "failed to start the engine");
                            inputs.push(Input::Exited(127));
                        }
                    }
                    Action::Term => {
                        if let Some(engine) = &self.engine {
                            processes::term(engine.pid);
                        }
                    }
                    Action::Kill => self.kill(),
                    Action::Say(what) => {
                        if !self.link.say(&what).await {
                            inputs.push(Input::Lost);
                        }
                    }
                    Action::Exit => return true,
                }
            }
        }
        false
    }

    fn start(&mut self) -> io::Result<()> {
        if !processes::kill_all(None) {
            return Err(io::Error::other("processes of the last engine are left"));
        }
        match fs::remove_file(&self.config.runtime_socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let place = Place {
            port: self.config.runtime_port,
            store: &self.config.store,
        };
        let particulars = self.config.engine.particulars();
        let mut child = processes::spawn(&self.config.command, particulars, &place)?;
        let output = Arc::new(Output::new(Instant::now()));
        let pipes = [
            child.stdout.take().map(OwnedFd::from),
            child.stderr.take().map(OwnedFd::from),
        ];
        for pipe in pipes.into_iter().flatten() {
            let output = Arc::clone(&output);
            tokio::spawn(async move { output.follow(pipe).await });
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        self.engine = Some(Engine { pid, output });
        Ok(())
    }

    fn kill(&mut self) {
        let engine = self.engine.take();
        let clean = processes::kill_all(engine.as_ref().map(|engine| engine.pid));
        let dropped = engine.map_or(0, |engine| engine.output.dropped());
        tracing::info!(clean, dropped_bytes = dropped, "engine ended");
    }
}
