//! Everything that the gate listens on, taken at once.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpListener, UnixListener};

use super::run::GateError;
use super::{Config, drain, listen, models};
use crate::launch::socket;

/// What it listens on, not served yet.
pub(super) struct Ports {
    /// The API.
    pub(super) api: TcpListener,
    /// Probes, report, challenges.
    pub(super) admin: TcpListener,
    /// `/metrics`.
    pub(super) metrics: TcpListener,
    /// Where the pod's program asks its models.
    pub(super) models: Vec<models::Bound>,
    /// Where launch takes the lease.
    pub(super) lease: UnixListener,
    /// Where the preStop hook asks for the drain.
    pub(super) drain: UnixListener,
}

impl Ports {
    /// Takes all of them.
    ///
    /// # Errors
    /// [`GateError::Bind`].
    pub(super) async fn take(config: &Config) -> Result<Self, GateError> {
        // Ports first: nothing that starts later in this pod can take them.
        let api = tcp(config.listen).await?;
        let admin = tcp(config.admin).await?;
        let metrics = tcp(config.metrics).await?;
        let models = models::bind(config.models.clone())
            .await
            .map_err(|(at, source)| GateError::Bind {
                at: at.to_string(),
                source,
            })?;
        Ok(Self {
            api,
            admin,
            metrics,
            models,
            lease: unix(&config.lease_socket, 0o666)?,
            drain: unix(&drain::socket(&config.lease_socket), 0o600)?,
        })
    }

    /// Where API, admin port and metrics are.
    pub(super) fn addresses(&self) -> [Option<String>; 3] {
        [&self.api, &self.admin, &self.metrics]
            .map(|port| port.local_addr().ok().map(|at| at.to_string()))
    }
}

async fn tcp(addr: SocketAddr) -> Result<TcpListener, GateError> {
    listen::bind(addr).await.map_err(|source| GateError::Bind {
        at: addr.to_string(),
        source,
    })
}

fn unix(path: &Path, mode: u32) -> Result<UnixListener, GateError> {
    socket::bind(path, mode).map_err(|source| GateError::Bind {
        at: path.display().to_string(),
        source,
    })
}
