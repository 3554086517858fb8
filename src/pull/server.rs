//! `GET /progress`.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::Progress;

/// Connections at once; one reader comes every ten seconds.
const MAX_CONNECTIONS: usize = 16;
/// Life of a connection, whatever it does.
const MAX_LIFE: Duration = Duration::from_secs(5);

/// Listens, and answers in the background until the runtime ends.
///
/// # Errors
/// Where nothing can be bound; an unspecified IPv6 address falls back to IPv4 on nodes without IPv6.
pub async fn serve_progress(
    address: SocketAddr,
    progress: Arc<Progress>,
) -> io::Result<SocketAddr> {
    let listener = match TcpListener::bind(address).await {
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?
        }
        bound => bound?,
    };
    let bound = listener.local_addr()?;
    tokio::spawn(accept(listener, progress));
    Ok(bound)
}

async fn accept(listener: TcpListener, progress: Arc<Progress>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(slot) = slots.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: give others time to close theirs.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let progress = progress.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = answer(&request, &progress);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(MAX_LIFE)
                .keep_alive(false)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(MAX_LIFE, connection).await;
            drop(slot);
        });
    }
}

fn answer(request: &Request<Incoming>, progress: &Progress) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if request.uri().path() != "/progress" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else if let Ok(body) = serde_json::to_vec(&progress.report()) {
        *response.body_mut() = Full::from(body);
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    response
}
