//! HTTP/1, and HTTP/2 and TLS where they are asked for, on a TCP port with limits on everything that a client can hold.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::answer::Body;
use super::arriving::Arriving;
use super::connection::Port;
use super::doors::{self, Door};
use super::full::Full;
use super::rejected::{Reason, Rejected};
use super::tls::Tls;

/// Largest request head in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// A client that takes no byte of its answer for this long is gone.
pub const READER_PATIENCE: Duration = Duration::from_secs(60);

/// What clients of one port may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more are answered 503 and closed.
    pub connections: usize,
    /// For a whole request head, and for a connection without a request.
    pub head: Duration,
    /// How long a client may take no byte of its answer before it is given up.
    pub reader: Duration,
}

/// What clients of one port may speak.
#[derive(Clone, Debug)]
pub enum Speaks {
    /// HTTP/1 in the clear.
    Http1,
    /// HTTP/1 and HTTP/2: in the clear by prior knowledge (RFC 9113, section 3.3), in TLS by ALPN.
    Both(Option<Arc<Tls>>),
}

/// Who sends a request: an extension of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Its connection has carried a request before, and its client was not told that it is to end: an extension of requests
/// over HTTP/1.
#[derive(Clone, Copy, Debug)]
pub struct Unwarned;

/// Binds a port. Where the machine has no IPv6, `[::]` means all IPv4 addresses.
///
/// # Errors
/// The address cannot be bound.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(addr).await {
        Err(error)
            if addr.is_ipv6()
                && addr.ip().is_unspecified()
                && error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, addr.port())).await
        }
        bound => bound,
    }
}

/// Serves until the listener's task is dropped. `door` gives each connection its door before anything is read
/// from it. What ends before it is a request is counted in `rejected`.
pub async fn serve<D, H, F>(
    listener: TcpListener,
    limits: Limits,
    speaks: Speaks,
    rejected: Rejected,
    door: D,
    handle: H,
) where
    D: Fn() -> Door,
    H: Fn(Request<Arriving>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
    // Together, the streams of all connections are at most what as many connections of HTTP/1 would send.
    let streams = Arc::new(Semaphore::new(limits.connections));
    let full = Full::default();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, from)) => (stream, Peer(from.ip().to_canonical())),
            Err(error) => {
                // Out of descriptors, or a client that went while it waited.
                tracing::warn!(%error, "failed to accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            rejected.count(Reason::Connections);
            if !matches!(speaks, Speaks::Both(Some(_))) {
                full.turn_away(stream);
            }
            continue;
        };
        let door = door();
        let port = Port {
            limits,
            speaks: speaks.clone(),
            streams: Arc::clone(&streams),
            rejected: rejected.clone(),
        };
        let handle = handle.clone();
        tokio::spawn(async move {
            let handle = move |mut request: Request<Arriving>| {
                request.extensions_mut().insert(peer);
                handle(request)
            };
            let stream = Arc::new(stream);
            tokio::select! {
                biased;
                () = door.cut.cancelled() => doors::reset(&stream),
                () = port.connection(&stream, &door, handle) => {}
            }
            drop(slot);
        });
    }
}
