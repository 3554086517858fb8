//! The API port: who may ask what, and the engine's answer as it comes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::answer::{Body, Refusal, json_response};
use super::audit::{Audit, Outcome, Record};
use super::body::{Peek, with_model};
use super::callers::Callers;
use super::core::Core;
use super::listen::Peer;
use super::metrics::Metrics;
use super::passing::{ENGINE_PATIENCE, Entered, Flow, Passing};
use super::reply;
use super::routes::Route;
use super::upstream::Upstream;
use crate::engine::Particulars;

/// For a client to send its whole body.
const BODY_PATIENCE: Duration = Duration::from_secs(60);
/// For a place in the memory that all bodies share.
const BUDGET_PATIENCE: Duration = Duration::from_secs(5);
/// Bodies in memory at once, as a multiple of the largest.
const BUDGET_BODIES: usize = 8;

/// The API.
pub struct Proxy {
    core: Arc<Core>,
    callers: Arc<Callers>,
    metrics: Arc<Metrics>,
    audit: Audit,
    upstream: Upstream,
    engine: &'static dyn Particulars,
    model: Served,
    max_body: usize,
    answer_limit: Duration,
    slots: Arc<Semaphore>,
    /// KiB of bodies.
    budget: Arc<Semaphore>,
}

/// The model that is served.
#[derive(Clone, Debug)]
pub struct Served {
    /// What requests carry as `model`.
    pub name: String,
    /// The artifact's digest, for the audit.
    pub digest: Option<String>,
}

impl Proxy {
    /// In front of `upstream`, for the model of that served name.
    #[expect(clippy::too_many_arguments, reason = "called once")]
    pub fn new(
        core: Arc<Core>,
        callers: Arc<Callers>,
        metrics: Arc<Metrics>,
        audit: Audit,
        upstream: Upstream,
        engine: &'static dyn Particulars,
        model: Served,
        max_body: usize,
        max_concurrent: usize,
        answer_limit: Duration,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(max_concurrent));
        let budget = Arc::new(Semaphore::new(BUDGET_BODIES * kib(max_body)));
        Self {
            core,
            callers,
            metrics,
            audit,
            upstream,
            engine,
            model,
            max_body,
            answer_limit,
            slots,
            budget,
        }
    }

    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let opened = self.audit.open(
            request.method(),
            request.extensions().get::<Peer>().map(|peer| peer.0),
            Arc::clone(&self.core),
            Arc::clone(&self.metrics),
        );
        let Some(mut record) = opened else {
            self.metrics.unaudited.inc();
            let message = "the audit log takes no more lines";
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "AuditUnavailable", message)
                .retry(5)
                .close()
                .into_response();
        };
        let id = record.id();
        let mut response = match self.serve(request, &mut record).await {
            Ok((response, flow)) => {
                record.answered(response.status());
                response.map(|body| Passing::new(body, record, flow).boxed_unsync())
            }
            Err((refusal, outcome)) => {
                record.answered(refusal.status);
                record.settle(outcome);
                refusal.into_response()
            }
        };
        if let Some(id) = id {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }

    async fn serve(
        &self,
        request: Request<Incoming>,
        record: &mut Record,
    ) -> Result<(Response<Body>, Option<Flow>), (Refusal, Outcome)> {
        let refused = |refusal| (refusal, Outcome::Refused);
        let route = Route::find(
            request.version(),
            request.method(),
            request.uri(),
            request.headers(),
        )
        .and_then(|route| Ok((route, self.engine.path(route).ok_or_else(no_route)?)));
        if let Ok((route, _)) = &route {
            record.routed(*route, &self.model);
        }
        // An unsealed pod says nothing else, and a stranger learns nothing of the routes.
        self.sealed().map_err(refused)?;
        let caller = self.callers.check(request.headers()).map_err(refused)?;
        record.called(&caller);
        let (route, path) = route.map_err(refused)?;
        if route == Route::Models {
            return Ok((self.models(), None));
        }
        let (body, entered) = self.take(request, record).await.map_err(refused)?;
        let sent = self
            .upstream
            .send(Method::POST, path, body.bytes, ENGINE_PATIENCE)
            .await;
        drop(body.budget);
        let answer = sent.map_err(|error| reply::failed(&error))?;
        self.core.sign_of_life();
        let end = Instant::now() + self.answer_limit;
        let (response, flow) = reply::reply(answer, &self.core, entered, end).await?;
        Ok((response, Some(flow)))
    }

    fn sealed(&self) -> Result<(), Refusal> {
        self.core
            .admits()
            .map_err(|reason| Refusal::not_sealed(&reason))
    }

    /// Takes a request's body, with everything that it needs to be served.
    async fn take(
        &self,
        request: Request<Incoming>,
        record: &mut Record,
    ) -> Result<(Taken, Entered), Refusal> {
        let busy = || {
            let message = "too many requests at once";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "busy", message).retry(1)
        };
        let unavailable = |code, message: &str| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
                .retry(2)
                .close()
        };
        let in_flight = self.core.enter();
        let in_flight = in_flight.ok_or_else(|| unavailable("Draining", "the pod is ending"))?;
        if !self.core.runtime().warm {
            return Err(unavailable("NotReady", "the model is being loaded"));
        }
        let slot = Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let too_large = || {
            let message = format!("the body is larger than {} bytes", self.max_body);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).close()
        };
        let declared = request.body().size_hint().upper();
        let need = declared.map_or(self.max_body, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        });
        if need > self.max_body {
            return Err(too_large());
        }
        let need = u32::try_from(kib(need)).map_err(|_| too_large())?;
        let budget = Arc::clone(&self.budget).acquire_many_owned(need);
        let budget = timeout(BUDGET_PATIENCE, budget)
            .await
            .ok()
            .and_then(Result::ok);
        let budget = budget.ok_or_else(busy)?;
        let read = Limited::new(request.into_body(), self.max_body).collect();
        let bytes = match timeout(BODY_PATIENCE, read).await {
            Ok(Ok(read)) => read.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
            Ok(Err(_)) => {
                let message = "the body broke off";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "body_broken", message).close());
            }
            Err(_) => {
                let message = "the body took too long";
                return Err(
                    Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_slow", message).close(),
                );
            }
        };
        record.read(bytes.len() as u64);
        let named = self.look(&bytes)?;
        let bytes = if named || !self.engine.needs_model() {
            bytes
        } else {
            with_model(&bytes, &self.model.name)
        };
        // A slow body may have outlasted the proof.
        self.sealed()?;
        Ok((Taken { bytes, budget }, (in_flight, slot)))
    }

    /// Refuses a body that must not reach the engine; tells whether it names the model.
    fn look(&self, body: &[u8]) -> Result<bool, Refusal> {
        let Ok(peek) = serde_json::from_slice::<Peek>(body) else {
            let message = "the body is not a JSON object with at most one model, a string";
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "invalid_json",
                message,
            ));
        };
        let named = peek.model.is_some();
        if peek.model.is_some_and(|model| model != self.model.name) {
            let message = format!("this endpoint serves the model {}", self.model.name);
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "model_not_found",
                message,
            ));
        }
        if peek.remote {
            let message = "the pod fetches nothing: send images as data: URLs";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "remote_url", message));
        }
        Ok(named)
    }

    fn models(&self) -> Response<Body> {
        let model =
            json!({"id": self.model.name, "object": "model", "created": 0, "owned_by": "sealroom"});
        json_response(StatusCode::OK, &json!({"object": "list", "data": [model]}))
    }
}

fn no_route() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not_found", "no such route")
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024).max(1)
}

struct Taken {
    bytes: Bytes,
    budget: OwnedSemaphorePermit,
}
