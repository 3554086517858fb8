//! A small HTTP/1.1 server: bounded in connections, in time and in headers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Most connections at once; more wait in the backlog.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may take for its headers.
const HEADERS: Duration = Duration::from_secs(5);
/// How long a connection may live, its idle time included.
const LIFE: Duration = Duration::from_secs(60);
/// Most bytes of headers.
const MAX_HEADERS: usize = 16 * 1024;

/// Serves for ever.
pub async fn serve(listener: TcpListener, router: Router) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .max_buf_size(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service);
            let _ = timeout(LIFE, connection).await;
            drop(permit);
        });
    }
}
