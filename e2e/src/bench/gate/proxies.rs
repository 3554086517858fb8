//! The gate and nginx, both before the same engine.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;

use super::events::MODEL;
use super::nginx::Nginx;
use super::ways::Ways;
use crate::bench::process::Gate;

/// Both run until this is dropped.
#[derive(Debug)]
pub struct Proxies {
    nginx: Nginx,
    /// Proven, and ready once the engine has answered its own question.
    pub gate: Gate,
}

impl Proxies {
    /// Starts the gate of `program`, and then the program `nginx`, before the engine at `socket`; what they write is in
    /// `directory`.
    ///
    /// # Errors
    /// When one of them does not start, or the gate is not proven.
    pub async fn start(
        program: &Path,
        nginx: &Path,
        directory: &Path,
        socket: &Path,
    ) -> Result<Self> {
        let flags = ["--model", MODEL];
        let gate = Gate::start(program, directory, socket, &flags).await?;
        let nginx = Nginx::start(nginx, directory, socket).await?;
        Ok(Self { nginx, gate })
    }

    /// The ways through them, and the bare one to `socket`; the engine's events count time from `origin`.
    #[must_use]
    pub fn ways(&self, socket: PathBuf, origin: Instant) -> Ways {
        Ways {
            socket,
            gate: (self.gate.api, self.gate.pid),
            nginx: (self.nginx.at, self.nginx.pid),
            origin,
        }
    }
}
