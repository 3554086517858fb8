//! A target that controls reach and sealed pods must not.
//!
//! One port, TCP and UDP, answers whoever says a nonce and remembers it: whatever NAT did on the way, the
//! nonce convicts the right pod. The other port takes signed orders to dial gates and targets, so that the
//! operator knows which of them can be reached by somebody who may.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

mod bind;
mod control;
mod dials;
mod http;
mod keys;
mod listen;
mod memory;

pub use dials::Dials;
pub use keys::KeySource;

use control::Control;
use memory::Memory;

/// The settings of a canary.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where nonces are taken, TCP and UDP.
    pub listen: SocketAddr,
    /// Where the operator is answered.
    pub control: SocketAddr,
    /// Whose orders are obeyed.
    pub keys: KeySource,
    /// Which canary this is.
    pub pod_uid: String,
}

/// Why a canary cannot run.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// An address is taken or not ours.
    #[error("failed to listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
}

/// A canary whose sockets are open.
#[derive(Debug)]
pub struct Canary {
    config: Config,
    tcp: TcpListener,
    udp: UdpSocket,
    control: TcpListener,
}

impl Canary {
    /// Opens the sockets. UDP gets the port that TCP got, also when the system chose it.
    ///
    /// # Errors
    /// [`CanaryError::Bind`].
    pub fn bind(config: Config) -> Result<Self, CanaryError> {
        let at = |addr| move |source| CanaryError::Bind { addr, source };
        let tcp = bind::tcp(config.listen).map_err(at(config.listen))?;
        let same = tcp.local_addr().map_err(at(config.listen))?;
        let udp = bind::udp(same).map_err(at(same))?;
        let control = bind::tcp(config.control).map_err(at(config.control))?;
        Ok(Self {
            config,
            tcp,
            udp,
            control,
        })
    }

    /// Where nonces are taken.
    ///
    /// # Errors
    /// The kernel's.
    pub fn listen_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Where the operator is answered.
    ///
    /// # Errors
    /// The kernel's.
    pub fn control_addr(&self) -> io::Result<SocketAddr> {
        self.control.local_addr()
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let memory = Arc::new(Mutex::new(Memory::starting_now()));
        let control = Arc::new(Control::new(
            self.config.pod_uid,
            self.config.keys,
            Arc::clone(&memory),
        ));
        tokio::select! {
            () = stop.cancelled() => {}
            () = listen::tcp(self.tcp, Arc::clone(&memory)) => {}
            () = listen::udp(self.udp, memory) => {}
            () = http::serve(self.control, control::router(control)) => {}
        }
    }
}
