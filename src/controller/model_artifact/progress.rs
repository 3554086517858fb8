//! Asks a pulling pod how far it is, at most every ten seconds.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::pull::ProgressReport;

/// Shortest time between two questions about one artifact.
pub const EVERY: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST: usize = 4_096;

/// Remembers the last answer per artifact.
#[derive(Debug, Default)]
pub struct Poller {
    asked: Mutex<HashMap<String, (Instant, Option<ProgressReport>)>>,
}

impl Poller {
    /// The last answer, or a new one where the last is old enough. A pod that does not answer is no failure.
    pub async fn ask(&self, uid: &str, pod_ip: &str) -> Option<ProgressReport> {
        let last = {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.get(uid).cloned()
        };
        if let Some((at, report)) = last
            && at.elapsed() < EVERY
        {
            return report;
        }
        let ip: IpAddr = pod_ip.parse().ok()?;
        let report = match tokio::time::timeout(PATIENCE, get(SocketAddr::new(ip, 8081))).await {
            Ok(Ok(report)) => Some(report),
            Ok(Err(error)) => {
                tracing::debug!(%error, "failed to ask a pull for its progress");
                None
            }
            Err(_) => None,
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // Pulls that are over leave within a minute: the map is as long as the list of running ones.
        asked.retain(|_, (at, _)| at.elapsed() < EVERY * 6);
        asked.insert(uid.to_owned(), (Instant::now(), report.clone()));
        report
    }
}

#[derive(Debug, thiserror::Error)]
enum ProgressError {
    #[error("failed to connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error("failed to speak HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("failed to read the answer")]
    Body,
    #[error("failed to parse the answer: {0}")]
    Parse(#[from] serde_json::Error),
    #[error("failed to build the request: {0}")]
    Request(#[from] http::Error),
}

async fn get(address: SocketAddr) -> Result<ProgressReport, ProgressError> {
    use http_body_util::{BodyExt, Empty, Limited};
    let stream = tokio::net::TcpStream::connect(address).await?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let driving = tokio::spawn(connection);
    let request = http::Request::get("/progress")
        .header(http::header::HOST, address.to_string())
        .body(Empty::<bytes::Bytes>::new())?;
    let response = sender.send_request(request).await;
    let read = async {
        let body = Limited::new(response?.into_body(), LONGEST).collect().await;
        let body = body.map_err(|_| ProgressError::Body)?;
        Ok(serde_json::from_slice(&body.to_bytes())?)
    };
    let report = read.await;
    driving.abort();
    report
}
