//! HTTP with gates and canaries: bounded in time, in bytes and in number.
//!
//! A peer that refuses an order with 409 says what it must carry instead; it is signed again, once. A peer may
//! lie in that answer: docs/design/0011 says what that is worth.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::seal::sign::{CHALLENGE, CONTROL, SigningKey};
use crate::seal::wire::{
    Challenge, ChallengeConflict, ControlConflict, ControlOrder, ControlReport, Report, SeenReport,
};

use super::sequence::{Sequence, unix_millis};

mod error;

pub use error::EdgeError;

use error::{failed, kind, refused, unnumbered};

/// Longest answer that is read, in bytes: 4,096 nonces and 512 dials fit.
const MAX_ANSWER: usize = 1024 * 1024;
/// Longest 409 that is read, in bytes.
const MAX_CONFLICT: usize = 4096;
/// Time for a canary to answer; its own dials take two.
const CANARY_TIME: Duration = Duration::from_secs(4);
/// Time for a gate to answer a challenge: its longest wait for silence is five seconds.
const GATE_TIME: Duration = Duration::from_secs(8);
/// Time for a connection.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// Rounds under way at once. Alarms do not wait for them: they are few, and the rate of alarms bounds them.
const MAX_ROUNDS: usize = 512;

/// The client. Clones share the limit.
#[derive(Clone, Debug)]
pub struct Edge {
    http: reqwest::Client,
    key: SigningKey,
    rounds: Arc<Semaphore>,
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
            rounds: Arc::new(Semaphore::new(MAX_ROUNDS)),
        })
    }

    /// Sends a challenge and waits for the end of its round, an alarm at once and a round as soon as there is a place for
    /// it. When the gate says that it is in another session
    /// or further in its numbers, the same challenge is sent once more with those.
    ///
    /// # Errors
    /// Any [`EdgeError`].
    pub async fn challenge(
        &self,
        gate: SocketAddr,
        challenge: &Challenge,
        sequence: &Sequence,
        alarm: bool,
    ) -> Result<Report, EdgeError> {
        // The semaphore is never closed.
        let _place = if alarm {
            None
        } else {
            self.rounds.acquire().await.ok()
        };
        let by = Instant::now() + GATE_TIME;
        let answer = self.order(gate, CHALLENGE, challenge, by).await?;
        let ChallengeConflict { session, last } = match answer {
            Answer::Done(report) => return Ok(report),
            Answer::Conflict(conflict) => conflict,
        };
        if challenge.session == Some(session) && last < challenge.seq {
            // It asks for nothing else than it got.
            return Err(refused(gate));
        }
        // An order to open is never too old; anything else must not undo what a newer one said.
        let seq = match challenge.open {
            Some(_) => sequence.above(last, unix_millis()),
            None => sequence.again(challenge.seq, last, unix_millis()),
        };
        let again = Challenge {
            session: Some(session),
            seq: seq.map_err(|why| unnumbered(gate, why))?,
            ..challenge.clone()
        };
        match self.order(gate, CHALLENGE, &again, by).await? {
            Answer::Done(report) => Ok(report),
            Answer::Conflict(ChallengeConflict { .. }) => Err(refused(gate)),
        }
    }

    /// Sends an order to a canary and waits for its dials. When the canary is further in its numbers, the same
    /// order is sent once more with a higher one.
    ///
    /// # Errors
    /// Any [`EdgeError`].
    pub async fn control(
        &self,
        canary: SocketAddr,
        order: &ControlOrder,
        sequence: &Sequence,
    ) -> Result<ControlReport, EdgeError> {
        let by = Instant::now() + CANARY_TIME;
        let ControlConflict { last } = match self.order(canary, CONTROL, order, by).await? {
            Answer::Done(report) => return Ok(report),
            Answer::Conflict(conflict) => conflict,
        };
        if last < order.seq {
            return Err(refused(canary));
        }
        // Orders to dial say nothing about each other, so an older one may get past a newer one.
        let seq = sequence.above(last, unix_millis());
        let again = ControlOrder {
            seq: seq.map_err(|why| unnumbered(canary, why))?,
            ..order.clone()
        };
        match self.order(canary, CONTROL, &again, by).await? {
            Answer::Done(report) => Ok(report),
            Answer::Conflict(ControlConflict { .. }) => Err(refused(canary)),
        }
    }

    /// Asks a canary which nonces it saw after `since`.
    ///
    /// # Errors
    /// Any [`EdgeError`].
    pub async fn seen(&self, canary: SocketAddr, since: u64) -> Result<SeenReport, EdgeError> {
        let url = format!("http://{canary}/seen?since={since}");
        let request = self.http.get(url).timeout(CANARY_TIME);
        done(canary, sent(canary, request).await?).await
    }

    /// Signs and posts a message; the answer must be there by `by`, so that a second try takes no more time
    /// than one.
    async fn order<T: DeserializeOwned, C: DeserializeOwned>(
        &self,
        peer: SocketAddr,
        payload_type: &'static str,
        message: &impl Serialize,
        by: Instant,
    ) -> Result<Answer<T, C>, EdgeError> {
        let envelope = self.key.sign(payload_type, message)?;
        let path = if payload_type == CHALLENGE {
            "challenge"
        } else {
            "control"
        };
        let request = self
            .http
            .post(format!("http://{peer}/{path}"))
            .json(&envelope)
            .timeout(by.saturating_duration_since(Instant::now()));
        let response = sent(peer, request).await?;
        if response.status() == StatusCode::CONFLICT {
            let conflict = read(peer, response, MAX_CONFLICT).await?;
            return Ok(Answer::Conflict(conflict));
        }
        done(peer, response).await.map(Answer::Done)
    }
}

/// What a peer says to an order.
enum Answer<T, C> {
    /// It obeyed.
    Done(T),
    /// 409, with what the order must carry.
    Conflict(C),
}

async fn sent(peer: SocketAddr, request: reqwest::RequestBuilder) -> Result<Response, EdgeError> {
    request.send().await.map_err(|error| failed(peer, &error))
}

async fn done<T: DeserializeOwned>(peer: SocketAddr, response: Response) -> Result<T, EdgeError> {
    if !response.status().is_success() {
        return Err(EdgeError::Status {
            peer: peer.to_string(),
            status: response.status().as_u16(),
        });
    }
    read(peer, response, MAX_ANSWER).await
}

async fn read<T: DeserializeOwned>(
    peer: SocketAddr,
    mut response: Response,
    most: usize,
) -> Result<T, EdgeError> {
    let bad = || EdgeError::Answer {
        peer: peer.to_string(),
    };
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| failed(peer, &error);
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > most {
            return Err(bad());
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|_| bad())
}
