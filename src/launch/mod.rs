//! PID 1 of the runtime container: locks itself, runs the engine as its child only while the gate says
//! sealed, stops it when it does not.
//!
//! [`filter`], [`ports`], [`decisions`] and [`lock`] are the kernel lock, [`supervisor`] decides, [`link`] hears the gate,
//! [`program`] is what runs, [`processes`] starts and ends, [`output`] says what of its output passes, [`socket`] clears
//! and binds a path, [`layout`] makes a store. The bridge of an MCP server is the same with children of its own
//! ([`crate::bridge`]).

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
pub mod program;
pub mod socket;
pub mod supervisor;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::seal::lease::Runtime;
use link::{Event, Link};
use supervisor::{Action, Input, Supervisor};

/// How often the clock and the engine's socket are looked at.
const TICK: Duration = Duration::from_millis(100);

/// What launch needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the gate gives the lease.
    pub lease_socket: PathBuf,
    /// How long SIGTERM waits for the last stream.
    pub drain: Duration,
    /// The locks that hold.
    pub locks: Vec<String>,
}

/// What runs while the lease holds.
pub trait Runs {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started; that counts as its end.
    fn start(&mut self) -> io::Result<()>;

    /// Whether the gate can reach it by now. Asked again and again until it can.
    fn listens(&mut self) -> bool;

    /// Takes what has just been reaped; the exit code when it has ended, by that or as the run sees it.
    fn ended(&mut self, reaped: &[(Pid, i32)]) -> Option<i32>;

    /// Asks it to end.
    fn term(&mut self);

    /// Ends it, and every process but this one.
    fn kill(&mut self);
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
pub async fn run(config: Config, runs: impl Runs) -> io::Result<()> {
    if std::process::id() != 1 {
        // PID 1 gets orphans anyway.
        nix::sys::prctl::set_child_subreaper(true)?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut child = signal(SignalKind::child())?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tracing::info!(locks = ?config.locks, "waiting for the lease");
    let mut launch = Launch {
        link: Link::new(config.lease_socket, config.locks),
        supervisor: Supervisor::new(config.drain, Instant::now()),
        runs,
    };
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

struct Launch<R> {
    link: Link,
    supervisor: Supervisor,
    runs: R,
}

impl<R: Runs> Launch<R> {
    /// Collects the dead, adopted orphans among them.
    fn reaped(&mut self) -> Input {
        let ended = self.runs.ended(&processes::reap());
        ended.map_or(Input::Tick, Input::Exited)
    }

    /// Sees whether it listens.
    fn looked(&mut self) -> Input {
        if self.supervisor.phase() == Runtime::Starting && self.runs.listens() {
            return Input::Listening;
        }
        // What a signal that came together with another one did not tell.
        self.runs.ended(&[]).map_or(Input::Tick, Input::Exited)
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
                        if let Err(error) = self.runs.start() {
                            tracing::error!(%error, "failed to start");
                            inputs.push(Input::Exited(127));
                        }
                    }
                    Action::Term => self.runs.term(),
                    Action::Kill => self.runs.kill(),
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
}
