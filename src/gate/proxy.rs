//! The API port: who may ask what, and the engine's answer as it comes.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::Patience;
use super::answer::{Body, Refusal, json_response};
use super::arriving::Arriving;
use super::asked::{Asked, Asks};
use super::audit::{Audit, Outcome, Record};
use super::bodies::{Bodies, Taken};
use super::budgets::{self, Budgets, Standing, till};
use super::callers::Callers;
use super::core::{Core, Drain};
use super::listen::Peer;
use super::metrics::Metrics;
use super::passing::{ENGINE_PATIENCE, Entered, Flow, Passing};
use super::queue::{self, NoSlot, Queue, Slot};
use super::reply::{self, NoReply, Source};
use super::room::Room;
use super::routes::{self, Route};
use super::served::{Models, Served};
use super::upstream::Upstream;
use crate::engine::Particulars;

mod look;

use look::look;

/// A request that the engine is to have.
struct Ready {
    body: Taken,
    path: &'static str,
    entered: Entered,
    asked: Asked,
    /// It asks for tokens that its client did not ask for.
    unasked: bool,
}

/// The API.
pub struct Proxy {
    core: Arc<Core>,
    callers: Arc<Callers>,
    metrics: Arc<Metrics>,
    audit: Audit,
    upstream: Upstream,
    engine: &'static dyn Particulars,
    models: Models,
    answer_limit: Duration,
    queue: Queue,
    budgets: Option<Arc<Budgets>>,
    bodies: Bodies,
    answers: Room,
    asks: Asks,
}

impl Proxy {
    /// In front of `upstream`, for these models.
    #[expect(clippy::too_many_arguments, reason = "called once")]
    pub fn new(
        core: Arc<Core>,
        callers: Arc<Callers>,
        metrics: Arc<Metrics>,
        audit: Audit,
        upstream: Upstream,
        engine: &'static dyn Particulars,
        models: Models,
        max_body: usize,
        queue: queue::Config,
        budgets: budgets::Config,
        patience: Patience,
        asks: Asks,
    ) -> Self {
        let queue = Queue::new(queue, metrics.waiting.clone());
        Self {
            core,
            callers,
            metrics,
            audit,
            upstream,
            engine,
            models,
            bodies: Bodies::new(max_body, patience.body),
            answers: Room::default(),
            answer_limit: patience.answer,
            queue,
            budgets: Budgets::new(budgets),
            asks,
        }
    }

    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Arriving>) -> Response<Body> {
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
        let mut standing = Standing::default();
        let served = self.serve(request, &mut record, &mut standing);
        let mut response = match served.await {
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
        let headers = response.headers_mut();
        if let Some(id) = id {
            headers.insert("x-request-id", id);
        }
        standing.write(headers);
        response
    }

    async fn serve(
        &self,
        request: Request<Arriving>,
        record: &mut Record,
        standing: &mut Standing,
    ) -> Result<(Response<Body>, Option<Flow>), (Refusal, Outcome)> {
        let refused = |refusal| (refusal, Outcome::Refused);
        let route = Route::find(
            request.version(),
            request.method(),
            request.uri(),
            request.headers(),
        );
        let only = self.models.only();
        if let Ok(route) = &route {
            record.routed(*route);
            if let Some(only) = only {
                record.asks(only);
            }
        }
        // An unsealed pod says nothing else, and a stranger learns nothing of the routes.
        self.sealed().map_err(refused)?;
        let caller = self.callers.check(request.headers()).map_err(refused)?;
        record.called(&caller);
        let route = route.map_err(refused)?;
        if matches!(route, Route::Models | Route::Model) {
            let listed = self.listed(request.uri().path(), record);
            return Ok((listed.map_err(refused)?, None));
        }
        if let Some(only) = only {
            // Said before a body is read in vain.
            self.path(route, only).map_err(refused)?;
        }
        let purse = till::admit(self.budgets.as_ref(), &caller, &self.metrics, standing);
        let purse = purse.map_err(refused)?;
        let Ready {
            body,
            path,
            entered,
            mut asked,
            unasked,
        } = match self.take(route, request, record).await {
            Ok(ready) => ready,
            Err(refusal) => {
                till::give_back(purse, standing);
                return Err(refused(refusal));
            }
        };
        // From here on the engine works for the caller.
        record.pays(purse);
        match self.ask(body, path).await {
            Ok((response, source, end)) => {
                asked.replied(response.status());
                let core = Arc::clone(&self.core);
                let flow = Flow::new(core, source, asked, entered, end, unasked);
                Ok((response, Some(flow)))
            }
            Err((refusal, outcome)) => {
                asked.failed(outcome);
                Err((refusal, outcome))
            }
        }
    }

    /// The engine's reply, and when its rest must be there at the latest.
    async fn ask(
        &self,
        body: Taken,
        path: &'static str,
    ) -> Result<(Response<Body>, Source, Instant), NoReply> {
        let sent = self
            .upstream
            .send(Method::POST, path, body.bytes, ENGINE_PATIENCE)
            .await;
        drop(body.budget);
        let answer = sent.map_err(|error| reply::failed(&error))?;
        self.core.sign_of_life();
        let end = Instant::now() + self.answer_limit;
        let replied = reply::reply(answer, &self.core, end, self.engine, &self.answers);
        let (response, source) = replied.await?;
        Ok((response, source, end))
    }

    fn sealed(&self) -> Result<(), Refusal> {
        self.core
            .admits()
            .map_err(|reason| Refusal::not_sealed(&reason))
    }

    /// Whether the pod may and can answer now.
    fn ready(&self) -> Result<(), Refusal> {
        self.sealed()?;
        // New ones were told where they entered.
        if self.core.watch().borrow().drain >= Drain::Emptying {
            return Err(draining());
        }
        let runtime = self.core.runtime();
        if runtime.answers_wrongly() {
            let message = "the model gives no right answers at this moment";
            return Err(unavailable("NotReady", message));
        }
        if !runtime.warm {
            return Err(unavailable("NotReady", "the model is being loaded"));
        }
        Ok(())
    }

    /// Takes a request's body, finds the engine's path by the model that it names, and then waits for a slot: a slow body
    /// holds none.
    async fn take(
        &self,
        route: Route,
        request: Request<Arriving>,
        record: &mut Record,
    ) -> Result<Ready, Refusal> {
        let in_flight = self.core.enter(request.extensions()).ok_or_else(draining)?;
        self.ready()?;
        if self.queue.is_full() {
            // Said before a body is read in vain.
            return Err(self.no_slot(NoSlot::Full));
        }
        let Taken { bytes, budget } = self.bodies.read(request.into_body(), &self.metrics).await?;
        record.read(bytes.len() as u64);
        let looked = look(&self.models, &bytes)?;
        record.asks(looked.model);
        let path = self.path(route, looked.model)?;
        let (bytes, unasked) = looked.written(bytes, self.engine, route);
        let slot = self.slot().await?;
        Ok(Ready {
            body: Taken { bytes, budget },
            path,
            entered: (in_flight, slot),
            asked: self.asks.begin(&looked.model.name),
            unasked,
        })
    }

    /// Waits for a slot, while the pod serves.
    async fn slot(&self) -> Result<Slot, Refusal> {
        let Some(slot) = self.core.while_serving(self.queue.enter()).await else {
            self.ready()?;
            return Err(draining());
        };
        let slot = slot.map_err(|why| self.no_slot(why))?;
        // A slow body or the wait may have outlasted the proof, or the engine.
        self.ready()?;
        Ok(slot)
    }

    fn no_slot(&self, why: NoSlot) -> Refusal {
        self.metrics.no_slot(why, "model", self.queue.retry_after())
    }

    /// The list of the models, or the one of it that this path names.
    fn listed(&self, path: &str, record: &mut Record) -> Result<Response<Body>, Refusal> {
        let json = match routes::model_name(path) {
            None => self.models.to_json(),
            Some(name) => {
                let model = self.models.named(&name);
                let model = model.ok_or_else(|| look::unknown(&self.models))?;
                record.asks(model);
                model.to_json()
            }
        };
        Ok(json_response(StatusCode::OK, &json))
    }

    /// The engine's path for a route; refuses as the OpenAI API does who asks a model for what it does not do.
    fn path(&self, route: Route, model: &Served) -> Result<&'static str, Refusal> {
        let mode = model.mode;
        let path = self.engine.path(route).filter(|_| mode.serves(route));
        path.ok_or_else(|| {
            let message = format!("this model {}", mode.does());
            Refusal::new(StatusCode::NOT_FOUND, "wrong_mode", message)
        })
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
