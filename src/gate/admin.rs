//! The admin port: probes of the kubelet, the seal's report, challenges. And `/metrics`, on a port of its own.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::{Body, Refusal, json_response, response, text_response};
use super::arriving::Arriving;
use super::bodies::{NotWhole, whole};
use super::callers::Callers;
use super::core::{Core, Drain};
use super::engine_view::RuntimeView;
use super::metrics::Metrics;
use super::models::Known;
use super::ready;
use super::rounds::{NotObeyed, Rounds};
use super::tls::Tls;
use super::upstream::Upstream;
use crate::engine::Particulars;
use crate::seal::lease::Runtime;
use crate::seal::wire::Report;

/// Largest challenge in bytes.
pub const MAX_CHALLENGE: usize = 64 * 1024;
/// For a challenge's body.
const BODY_PATIENCE: Duration = Duration::from_secs(5);
/// Scrapes that ask the engine at once.
const MAX_SCRAPES: usize = 4;

/// The admin port.
#[derive(Debug)]
pub struct Admin {
    /// The gate's knowledge.
    pub core: Arc<Core>,
    /// For `/readyz`.
    pub callers: Arc<Callers>,
    /// For `/readyz` too.
    pub tls: Option<Arc<Tls>>,
    /// For `/challenge`.
    pub rounds: Rounds,
    /// For the report: what is missing to ask the models of the pod's program.
    pub models: Known,
}

impl Admin {
    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Arriving>) -> Response<Body> {
        let path = request.uri().path();
        if request.method() == Method::POST && path == "/challenge" {
            return match self.challenge(request).await {
                Ok(response) => response,
                Err(refused) => refused.into_response(),
            };
        }
        if request.method() != Method::GET {
            return text_response(StatusCode::NOT_FOUND, "no such route");
        }
        match path {
            "/livez" => text_response(StatusCode::OK, "ok"),
            "/readyz" => verdict(self.not_ready()),
            "/startupz" => verdict(self.not_started()),
            "/runtimez" => verdict(self.core.lost().map(|lost| lost.as_str().to_owned())),
            "/sealz" => json_response(StatusCode::OK, &self.with_secrets(self.core.report())),
            _ => text_response(StatusCode::NOT_FOUND, "no such route"),
        }
    }

    fn with_secrets(&self, report: Report) -> Report {
        Report {
            keys_missing: self.callers.missing().is_some(),
            certificate_missing: self.no_certificate().is_some(),
            token_keys: self.callers.token_keys(),
            models_lack: self.models.lack(),
            ..report
        }
    }

    fn no_certificate(&self) -> Option<String> {
        self.tls.as_ref().and_then(|tls| tls.missing())
    }

    /// The kubelet starts the runtime's container when this is `None`.
    fn not_started(&self) -> Option<String> {
        (!self.core.may_start()).then(|| format!("not proven: {:?}", self.core.report().state))
    }

    fn not_ready(&self) -> Option<String> {
        if let Err(reason) = self.core.admits() {
            return Some(reason);
        }
        if self.core.watch().borrow().drain != Drain::No {
            return Some("Draining".to_owned());
        }
        if let Some(missing) = self.no_certificate().or_else(|| self.callers.missing()) {
            return Some(missing);
        }
        if let Some(obstacle) = self.core.obstacle() {
            return Some(obstacle);
        }
        let runtime = self.core.runtime();
        (!runtime.warm).then(|| format!("NotReady: the engine is {}", phase(&runtime)))
    }

    async fn challenge(&self, request: Request<Arriving>) -> Result<Response<Body>, NotObeyed> {
        let read = whole(request.into_body(), MAX_CHALLENGE);
        let body = match timeout(BODY_PATIENCE, read).await {
            Ok(Ok(body)) => body,
            Ok(Err(NotWhole::TooLong)) => {
                let message = "a challenge has at most 65,536 bytes";
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return Err(Refusal::new(status, "TooLarge", message).close().into());
            }
            Ok(Err(NotWhole::Broken)) | Err(_) => {
                let message = "the body broke off or took too long";
                let status = StatusCode::BAD_REQUEST;
                return Err(Refusal::new(status, "Broken", message).close().into());
            }
        };
        let report = self.rounds.challenge(&body).await?;
        Ok(json_response(StatusCode::OK, &self.with_secrets(report)))
    }
}

fn verdict(trouble: Option<String>) -> Response<Body> {
    match trouble {
        None => text_response(StatusCode::OK, "ok"),
        Some(why) => text_response(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

fn phase(runtime: &RuntimeView) -> &'static str {
    match runtime.phase {
        _ if runtime.answers_wrongly() => "answering wrongly",
        Runtime::Starting => "starting",
        Runtime::Running => "loading",
        Runtime::Ended { .. } => "to be started again",
        _ => "waiting",
    }
}

/// The metrics port.
pub struct Scrape {
    core: Arc<Core>,
    metrics: Arc<Metrics>,
    engine: Option<(Upstream, &'static dyn Particulars)>,
    places: Semaphore,
}

impl Scrape {
    /// Asks the engine, if there is one, for its counters on each scrape.
    #[must_use]
    pub fn new(
        core: Arc<Core>,
        metrics: Arc<Metrics>,
        engine: Option<(Upstream, &'static dyn Particulars)>,
    ) -> Self {
        Self {
            core,
            metrics,
            engine,
            places: Semaphore::new(MAX_SCRAPES),
        }
    }

    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Arriving>) -> Response<Body> {
        if request.method() != Method::GET || request.uri().path() != "/metrics" {
            return text_response(StatusCode::NOT_FOUND, "no such route");
        }
        let Ok(_place) = self.places.try_acquire() else {
            return text_response(StatusCode::TOO_MANY_REQUESTS, "too many scrapes at once");
        };
        let tokens = match &self.engine {
            Some((upstream, engine)) => ready::tokens(&self.core, upstream, *engine).await,
            None => None,
        };
        let text = self.metrics.text(&self.core, tokens);
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response(StatusCode::OK, kind, text.into_bytes())
    }
}
