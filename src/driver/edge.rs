//! HTTP with gates and canaries: bounded in time, in bytes and in number.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::seal::sign::{CHALLENGE, CONTROL, SignError, SigningKey};
use crate::seal::wire::{Challenge, ControlOrder, ControlReport, Report, SeenReport};

/// Longest answer that is read, in bytes: 4,096 nonces and 512 dials fit.
const MAX_ANSWER: usize = 1024 * 1024;
/// Time for a canary to answer; its own dials take a second.
const CANARY_TIME: Duration = Duration::from_secs(3);
/// Time for a gate to answer a challenge: its longest wait for silence is five seconds.
const GATE_TIME: Duration = Duration::from_secs(8);
/// Time for a connection.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// Challenges under way at once.
const MAX_CHALLENGES: usize = 512;

/// Why a peer's answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The peer's pod has no address yet.
    #[error("failed to speak with a pod that has no address yet")]
    NoAddress,
    /// The client could not be made, or the peer could not be reached or read.
    #[error("failed to speak with {peer}: {what}")]
    Http {
        /// Address, or `client`.
        peer: String,
        /// The kind of failure, without anything that the peer wrote.
        what: &'static str,
    },
    /// The peer refused.
    #[error("failed to speak with {peer}: it answered {status}")]
    Status {
        /// Address.
        peer: String,
        /// HTTP status.
        status: u16,
    },
    /// The answer is too long or not what it should be.
    #[error("failed to read the answer of {peer}")]
    Answer {
        /// Address.
        peer: String,
    },
    /// The order could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// The client. Clones share the limit.
#[derive(Clone, Debug)]
pub struct Edge {
    http: reqwest::Client,
    key: SigningKey,
    challenges: Arc<Semaphore>,
}

impl Edge {
    /// A client that signs with this key, follows nothing, knows no proxy and keeps no connection: the gate
    /// of a pod that is gone must not hold a socket here.
    ///
    /// # Errors
    /// [`EdgeError::Http`] when the client cannot be built.
    pub fn new(key: SigningKey) -> Result<Self, EdgeError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIME)
            .pool_max_idle_per_host(0)
            // Plain HTTP alone: the image holds no system store, and the builder would fail without one.
            .tls_certs_only([])
            .build()
            .map_err(|error| EdgeError::Http {
                peer: "client".to_owned(),
                what: kind(&error),
            })?;
        Ok(Self {
            http,
            key,
            challenges: Arc::new(Semaphore::new(MAX_CHALLENGES)),
        })
    }

    /// Sends a challenge and waits for the end of its round.
    ///
    /// # Errors
    /// Any [`EdgeError`].
    pub async fn challenge(
        &self,
        gate: SocketAddr,
        challenge: &Challenge,
    ) -> Result<Report, EdgeError> {
        let envelope = self.key.sign(CHALLENGE, challenge)?;
        // The semaphore is never closed.
        let _permit = self.challenges.acquire().await;
        self.post(gate, "/challenge", &envelope, GATE_TIME).await
    }

    /// Sends an order to a canary and waits for its dials.
    ///
    /// # Errors
    /// Any [`EdgeError`].
    pub async fn control(
        &self,
        canary: SocketAddr,
        order: &ControlOrder,
    ) -> Result<ControlReport, EdgeError> {
        let envelope = self.key.sign(CONTROL, order)?;
        self.post(canary, "/control", &envelope, CANARY_TIME).await
    }

    /// Asks a canary which nonces it saw after `since`.
    ///
    /// # Errors
    /// Any [`EdgeError`].
    pub async fn seen(&self, canary: SocketAddr, since: u64) -> Result<SeenReport, EdgeError> {
        let url = format!("http://{canary}/seen?since={since}");
        let request = self.http.get(url).timeout(CANARY_TIME);
        answer(canary, request).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        peer: SocketAddr,
        path: &str,
        body: &impl Serialize,
        time: Duration,
    ) -> Result<T, EdgeError> {
        let request = self
            .http
            .post(format!("http://{peer}{path}"))
            .json(body)
            .timeout(time);
        answer(peer, request).await
    }
}

async fn answer<T: DeserializeOwned>(
    peer: SocketAddr,
    request: reqwest::RequestBuilder,
) -> Result<T, EdgeError> {
    let http = |error: reqwest::Error| EdgeError::Http {
        peer: peer.to_string(),
        what: kind(&error),
    };
    let bad = || EdgeError::Answer {
        peer: peer.to_string(),
    };
    let mut response = request.send().await.map_err(http)?;
    if !response.status().is_success() {
        return Err(EdgeError::Status {
            peer: peer.to_string(),
            status: response.status().as_u16(),
        });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(http)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(bad());
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|_| bad())
}

fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection failed"
    }
}
