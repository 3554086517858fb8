//! The three ways to the engine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use super::client::Client;
use crate::bench::processes::{family, resident};

/// One of the ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Straight on the engine's Unix socket.
    Bare,
    /// Through nginx.
    Nginx,
    /// Through the gate.
    Gate,
}

/// Where they begin, and the processes whose memory is read.
#[derive(Clone, Debug)]
pub struct Ways {
    /// The engine's socket.
    pub socket: PathBuf,
    /// The gate's address and process.
    pub gate: (SocketAddr, u32),
    /// Those of nginx; the process is its master.
    pub nginx: (SocketAddr, u32),
    /// Whence the engine's events count time.
    pub origin: Instant,
}

impl Way {
    /// As it stands in what is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Nginx => "nginx",
            Self::Gate => "gate",
        }
    }
}

impl Ways {
    /// A client with a connection of its own.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn client(&self, way: Way) -> Result<Client> {
        match way {
            Way::Bare => Client::unix(&self.socket, self.origin).await,
            Way::Nginx => Client::tcp(self.nginx.0, self.origin).await,
            Way::Gate => Client::tcp(self.gate.0, self.origin).await,
        }
    }

    /// The resident memory of the gate, or of nginx and its workers together, in MiB. Pages that workers share
    /// count for each.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory(&self, way: Way) -> Result<f64> {
        match way {
            Way::Bare => Ok(0.0),
            Way::Gate => resident(self.gate.1),
            Way::Nginx => family(self.nginx.1)?.into_iter().map(resident).sum(),
        }
    }
}
