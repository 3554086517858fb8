//! `sealroom launch`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::Exit;
use crate::engine::{Engine, Listens, Place, Printed, Settings};
use crate::launch::processes::environment;
use crate::launch::program::{At, Program};
use crate::launch::{self, Config, drain_within, layout, lock};

/// Flags of `sealroom launch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Copy this binary to DIR/sealroom and end
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    install: Option<PathBuf>,
    /// With --install: also lay the engine's store out in STORE
    #[arg(long, value_name = "STORE", requires_all = ["install", "settings"])]
    lay_out: Option<PathBuf>,
    /// What the store is made from, as JSON: once for each of its models
    #[arg(long, value_name = "JSON", requires = "lay_out")]
    settings: Vec<String>,
    /// The Unix socket on which the gate gives the lease
    #[arg(
        long,
        env = "SEALROOM_LEASE_SOCKET",
        default_value = "/run/sealroom/gate/lease.sock"
    )]
    lease_socket: PathBuf,
    /// The Unix socket on which the engine will listen, if it can
    #[arg(
        long,
        env = "SEALROOM_RUNTIME_SOCKET",
        default_value = "/run/sealroom/runtime/runtime.sock"
    )]
    runtime_socket: PathBuf,
    /// The port of 127.0.0.1 on which it will listen otherwise; without it, its usual one
    #[arg(long, env = "SEALROOM_RUNTIME_PORT", value_name = "PORT")]
    runtime_port: Option<u16>,
    /// The engine's store, if it has one
    #[arg(
        long,
        env = "SEALROOM_STORE",
        default_value = "/run/sealroom/store",
        value_name = "DIR"
    )]
    store: String,
    /// Which engine this is: it chooses the kernel lock's filter
    #[arg(long, env = "SEALROOM_ENGINE", value_enum, default_value_t = Engine::LlamaCpp)]
    engine: Engine,
    /// The pod's grace period: how long its end may take, the last stream included
    #[arg(long, env = "SEALROOM_DRAIN_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    drain_seconds: u64,
    /// What becomes of what the engine prints once it serves: it may hold prompts
    #[arg(long, env = "SEALROOM_OUTPUT", value_enum, default_value_t)]
    output: Printed,
    /// Run without the kernel lock: only builds for packet tests have this
    #[cfg(feature = "kernel-lock-off")]
    #[arg(long)]
    no_kernel_lock: bool,
    /// The engine's program and its arguments
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
        crate::telemetry::init();
        if let Some(dir) = &self.install {
            return match launch::install(dir) {
                Ok(path) => {
                    tracing::info!(path = %path.display(), "installed");
                    self.lay_out()
                }
                Err(error) => {
                    tracing::error!(%error, dir = %dir.display(), "failed to install");
                    Exit::Passing
                }
            };
        }
        let locks = match self.lock() {
            Ok(locks) => locks,
            Err(error) => {
                tracing::error!(%error, "failed to lock; nothing is started");
                return Exit::Refused;
            }
        };
        let place = Place {
            port: self.port(),
            store: &self.store,
        };
        let engine = self.engine.particulars();
        let environment = environment(std::env::vars_os(), engine, &place);
        let at = match engine.listens() {
            Listens::Unix => At::Unix(self.runtime_socket),
            Listens::Tcp(_) => At::Port(place.port),
        };
        let program = Program::new(self.command, environment, at, self.output);
        let config = Config {
            lease_socket: self.lease_socket,
            drain: drain_within(Duration::from_secs(self.drain_seconds)),
            locks,
        };
        // No thread but this one has been started up to here, and none that follows escapes the filter.
        let ran = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|runtime| runtime.block_on(launch::run(config, program)));
        match ran {
            Ok(()) => Exit::Ok,
            Err(error) => {
                tracing::error!(%error, "failed to run");
                Exit::Passing
            }
        }
    }

    fn lock(&self) -> Result<Vec<String>, lock::LockError> {
        #[cfg(feature = "kernel-lock-off")]
        if self.no_kernel_lock {
            tracing::warn!("the kernel lock is off");
            return Ok(Vec::new());
        }
        lock::engage(&lock::Left::of_engine(
            self.engine.particulars().sockets(),
            self.port(),
        ))
    }

    /// The engine's port; 0, which nothing connects to, where it has none.
    fn port(&self) -> u16 {
        match self.engine.particulars().listens() {
            Listens::Unix => 0,
            Listens::Tcp(port) => self.runtime_port.unwrap_or(port),
        }
    }

    fn lay_out(&self) -> Exit {
        let Some(store) = &self.lay_out else {
            return Exit::Ok;
        };
        let read = self.settings.iter().map(|text| serde_json::from_str(text));
        let models: Vec<Settings> = match read.collect::<serde_json::Result<_>>() {
            Ok(models) => models,
            Err(error) => {
                tracing::error!(%error, "failed to read --settings");
                return Exit::Usage;
            }
        };
        match layout::lay_out(self.engine, &models, store) {
            Ok(()) => {
                tracing::info!(store = %store.display(), "laid out");
                Exit::Ok
            }
            Err(error) => {
                tracing::error!(%error, "failed to lay out the store");
                if error.is_final() {
                    Exit::Refused
                } else {
                    Exit::Passing
                }
            }
        }
    }
}
