//! HTTP/1 on a TCP port with limits on everything that a client can hold.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::answer::Body;
use super::doors::ClientIo;

/// Largest request head in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// Most header fields.
const MAX_FIELDS: usize = 64;
/// A client that takes no byte of its answer for this long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
/// Sent without looking at the request when there are too many connections.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What clients of one port may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more are answered 503 and closed.
    pub connections: usize,
    /// For a whole request head, and for a connection without a request.
    pub head: Duration,
}

/// Who sends a request: an extension of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

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

/// Serves until the listener's task is dropped. `door` gives each connection its token before anything is
/// read from it.
pub async fn serve<D, H, F>(listener: TcpListener, limits: Limits, door: D, handle: H)
where
    D: Fn() -> CancellationToken,
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
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
            let _ = stream.try_write(FULL);
            continue;
        };
        let token = door();
        let handle = handle.clone();
        tokio::spawn(async move {
            let handle = move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer);
                handle(request)
            };
            connection(stream, limits, token, handle).await;
            drop(slot);
        });
    }
}

async fn connection<H, F>(stream: TcpStream, limits: Limits, token: CancellationToken, handle: H)
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send,
{
    // Tokens of a stream leave one by one.
    let _ = stream.set_nodelay(true);
    let io = ClientIo::new(stream, token.clone(), WRITE_PATIENCE);
    let service = service_fn(move |request| {
        let answer = handle(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(MAX_FIELDS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(4 * MAX_HEAD)
        .serve_connection(TokioIo::new(io), service);
    tokio::select! {
        biased;
        () = token.cancelled() => {}
        _ = connection => {}
    }
}
