//! `sealroom launch`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::Exit;
use crate::gate::engine::Engine;
use crate::launch::{self, Config, drain_within, lock};

/// Flags of `sealroom launch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Copy this binary to DIR/sealroom and end
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    install: Option<PathBuf>,
    /// The Unix socket on which the gate gives the lease
    #[arg(
        long,
        env = "SEALROOM_LEASE_SOCKET",
        default_value = "/run/sealroom/gate/lease.sock"
    )]
    lease_socket: PathBuf,
    /// The Unix socket on which the engine will listen
    #[arg(
        long,
        env = "SEALROOM_RUNTIME_SOCKET",
        default_value = "/run/sealroom/runtime/runtime.sock"
    )]
    runtime_socket: PathBuf,
    /// Which engine this is: it chooses the kernel lock's filter
    #[arg(long, env = "SEALROOM_ENGINE", value_enum, default_value_t = Engine::LlamaCpp)]
    engine: Engine,
    /// The pod's grace period: how long its end may take, the last stream included
    #[arg(long, env = "SEALROOM_DRAIN_SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    drain_seconds: u64,
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
        if let Some(dir) = self.install {
            return match launch::install(&dir) {
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
        let locks = match self.lock() {
            Ok(locks) => locks,
            Err(error) => {
                tracing::error!(%error, "failed to lock; nothing is started");
                return Exit::Refused;
            }
        };
        let config = Config {
            lease_socket: self.lease_socket,
            runtime_socket: self.runtime_socket,
            drain: drain_within(Duration::from_secs(self.drain_seconds)),
            locks,
            command: self.command,
        };
        // No thread but this one has been started up to here, and none that follows escapes the filter.
        let ran = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|runtime| runtime.block_on(launch::run(config)));
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
        match self.engine {
            Engine::LlamaCpp => lock::engage()?,
        }
        Ok(vec![lock::KERNEL.to_owned()])
    }
}
