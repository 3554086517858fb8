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
use super::core::{Core, Drain};
use super::listen::Peer;
use super::metrics::{Limit, Metrics};
use super::passing::{ENGINE_PATIENCE, Entered, Flow, Passing};
use super::queue::{self, NoSlot, Queue, Slot};
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
/// Most bytes of bodies in memory, if one body may not be larger: a quarter of the container's.
const BUDGET_BYTES: usize = 64 * 1024 * 1024;

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
    queue: Queue,
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
        queue: queue::Config,
        answer_limit: Duration,
    ) -> Self {
        let queue = Queue::new(queue, metrics.waiting.clone());
        let bodies = (BUDGET_BODIES * max_body).min(BUDGET_BYTES).max(max_body);
        let budget = Arc::new(Semaphore::new(kib(bodies)));
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
            queue,
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

    /// Whether the pod may and can answer now.
    fn ready(&self) -> Result<(), Refusal> {
        self.sealed()?;
        if self.core.watch().borrow().drain >= Drain::Refusing {
            return Err(draining());
        }
        if !self.core.runtime().warm {
            return Err(unavailable("NotReady", "the model is being loaded"));
        }
        Ok(())
    }

    /// Takes a request's body, and then waits for a slot: a slow body holds none.
    async fn take(
        &self,
        request: Request<Incoming>,
        record: &mut Record,
    ) -> Result<(Taken, Entered), Refusal> {
        let in_flight = self.core.enter().ok_or_else(draining)?;
        self.ready()?;
        if self.queue.is_full() {
            // Said before a body is read in vain.
            return Err(self.no_slot(NoSlot::Full));
        }
        let Taken { bytes, budget } = self.read(request.into_body()).await?;
        record.read(bytes.len() as u64);
        let named = self.look(&bytes)?;
        let bytes = if named || !self.engine.needs_model() {
            bytes
        } else {
            with_model(&bytes, &self.model.name)
        };
        let slot = self.slot().await?;
        Ok((Taken { bytes, budget }, (in_flight, slot)))
    }

    /// Waits for a slot, while the pod serves.
    async fn slot(&self) -> Result<Slot, Refusal> {
        let mut status = self.core.watch();
        let slot = tokio::select! {
            biased;
            _ = status.wait_for(|status| !status.serves || status.drain >= Drain::Refusing) => {
                self.ready()?;
                return Err(draining());
            }
            slot = self.queue.enter() => slot.map_err(|why| self.no_slot(why))?,
        };
        // A slow body or the wait may have outlasted the proof, or the engine.
        self.ready()?;
        Ok(slot)
    }

    /// Reads a body, once there is memory for the largest that it may become; keeps what it takes.
    async fn read(&self, body: Incoming) -> Result<Taken, Refusal> {
        let too_large = || {
            let message = format!("the body is larger than {} bytes", self.max_body);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).close()
        };
        let declared = body.size_hint().upper();
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
        let mut budget = budget.ok_or_else(|| {
            let message = "the bodies of other requests take all memory";
            self.limited(Limit::BodyMemory, message, 1)
        })?;
        let read = Limited::new(body, self.max_body).collect();
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
        // A body without a declared length asked for the most; those who wait hold no more than they fill.
        drop(budget.split(budget.num_permits().saturating_sub(kib(bytes.len()))));
        Ok(Taken { bytes, budget })
    }

    fn no_slot(&self, why: NoSlot) -> Refusal {
        let (limit, message) = match why {
            NoSlot::Full => (Limit::QueueFull, "the queue before the model is full"),
            NoSlot::TimedOut => {
                let message = "the model had no time for this request within the longest wait";
                (Limit::QueueTimeout, message)
            }
        };
        self.limited(limit, message, self.queue.retry_after())
    }

    fn limited(&self, limit: Limit, message: &str, seconds: u32) -> Refusal {
        self.metrics.refused(limit);
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, limit.as_str(), message).retry(seconds)
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

fn unavailable(code: &str, message: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
        .retry(2)
        .close()
}

fn draining() -> Refusal {
    unavailable("Draining", "the pod is ending")
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
