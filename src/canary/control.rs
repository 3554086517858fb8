//! What the operator asks a canary.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::dials::Dials;
use super::keys::KeySource;
use super::memory::Memory;
use crate::seal::check::Malformed;
use crate::seal::sign::{CONTROL, SignError};
use crate::seal::wire::{ControlOrder, ControlReport, Envelope, SeenReport};

/// Longest order: 512 gates and 32 targets, in base64, fit well.
const MAX_BODY: usize = 128 * 1024;
/// Most orders that are obeyed at once.
const MAX_ORDERS: usize = 4;

/// The state behind the control port.
#[derive(Debug)]
pub struct Control {
    pod_uid: String,
    keys: KeySource,
    memory: Arc<Mutex<Memory>>,
    last_seq: Mutex<u64>,
    orders: Semaphore,
    dials: Dials,
}

/// Why an order is not obeyed.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("failed to obey: no trusted key is there yet")]
    NoKeys,
    #[error(transparent)]
    Sign(SignError),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("failed to obey: the order is for another canary")]
    OtherCanary,
    #[error("failed to obey: sequence is not greater than {last}")]
    Sequence { last: u64 },
    #[error("failed to obey: too many orders at once")]
    Busy,
}

impl IntoResponse for OrderError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NoKeys => StatusCode::SERVICE_UNAVAILABLE,
            Self::Sign(_) => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::OtherCanary => StatusCode::FORBIDDEN,
            Self::Sequence { .. } => StatusCode::CONFLICT,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
        };
        // Only a 409 has a `last`; the operator reads that as a `ControlConflict`.
        let last = match &self {
            Self::Sequence { last } => Some(*last),
            _ => None,
        };
        let body = serde_json::json!({ "error": self.to_string(), "last": last });
        (status, Json(body)).into_response()
    }
}

impl Control {
    /// Has obeyed nothing yet.
    pub fn new(pod_uid: String, keys: KeySource, memory: Arc<Mutex<Memory>>) -> Self {
        Self {
            pod_uid,
            keys,
            memory,
            last_seq: Mutex::new(0),
            orders: Semaphore::new(MAX_ORDERS),
            dials: Dials::new(),
        }
    }

    async fn obey(&self, envelope: &Envelope) -> Result<ControlReport, OrderError> {
        let keys = self.keys.load().await.map_err(|error| {
            tracing::warn!(%error, "no keys");
            OrderError::NoKeys
        })?;
        let order: ControlOrder = keys.open(CONTROL, envelope).map_err(OrderError::Sign)?;
        order.check()?;
        if order.canary_uid != self.pod_uid {
            return Err(OrderError::OtherCanary);
        }
        let _permit = self.orders.try_acquire().map_err(|_| OrderError::Busy)?;
        self.advance(order.seq)?;
        Ok(self.dials.obey(&order).await)
    }

    fn advance(&self, seq: u64) -> Result<(), OrderError> {
        let mut last = self.last_seq.lock().unwrap_or_else(PoisonError::into_inner);
        if seq <= *last {
            return Err(OrderError::Sequence { last: *last });
        }
        *last = seq;
        Ok(())
    }
}

/// The routes of the control port.
pub fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/control", post(order))
        .route("/seen", get(seen))
        // Whoever answers has its sockets: they are opened before the first request is taken.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(control)
}

async fn order(
    State(control): State<Arc<Control>>,
    Json(envelope): Json<Envelope>,
) -> Result<Json<ControlReport>, OrderError> {
    control
        .obey(&envelope)
        .await
        .map(Json)
        .inspect_err(|error| {
            tracing::debug!(%error, "order refused");
        })
}

#[derive(Debug, Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn seen(State(control): State<Arc<Control>>, Query(asked): Query<Since>) -> Json<SeenReport> {
    let memory = control
        .memory
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Json(memory.since(&control.pod_uid, asked.since))
}
