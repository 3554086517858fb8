//! One model, as the program asks it.

use std::error::Error;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::carry::{Carried, Place};
use super::config::{Config, TlsConfig};
use super::dial::dial;
use super::entry::{self, Entry};
use super::watch::Reach;
use super::{AT_ONCE, Asked, Counts, Of};
use crate::gate::answer::{Body, Refusal};
use crate::gate::arriving::Arriving;
use crate::gate::core::Core;
use crate::gate::passing::ENGINE_PATIENCE;
use crate::gate::routes::{self, Route};
use crate::seal::wire::{Lack, Need};

/// Largest body of a request. It is never in memory as a whole.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// What is between the base path and a route's own part.
const BASE: &str = "/v1";
/// The fields of a request that the model gets; everything else is the program's own affair, its `Authorization` first.
const SENT: [header::HeaderName; 3] =
    [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::ACCEPT];
/// The fields of an answer that the program gets: the others speak of the model's connection, or to browsers.
const GIVEN: [header::HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CACHE_CONTROL,
    header::RETRY_AFTER,
];

/// A model, and what is needed to ask it.
pub struct Offer {
    config: Config,
    host: HeaderValue,
    key: Option<Entry<HeaderValue>>,
    ca: Option<Entry<Arc<ClientConfig>>>,
    reach: Reach,
    core: Arc<Core>,
    counts: Counts,
    places: Arc<Semaphore>,
}

impl Offer {
    /// With its key and CA read for the first time.
    pub fn new(config: Config, core: Arc<Core>, counts: Counts) -> Self {
        let named = config.tls.as_ref().map(|tls| &tls.host);
        let host = named.map_or_else(
            || config.at.to_string(),
            |name| format!("{name}:{}", config.at.port()),
        );
        Self {
            host: host.try_into().unwrap_or(HeaderValue::from_static("model")),
            key: config.key.as_deref().map(entry::key),
            ca: config.tls.as_ref().map(|tls| entry::ca(&tls.ca)),
            reach: Reach::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            config,
            core,
            counts,
        }
    }

    /// Reads key and CA again.
    pub fn reload(&self) {
        if let Some(key) = &self.key {
            key.reload();
        }
        if let Some(ca) = &self.ca {
            ca.reload();
        }
    }

    /// Tries whether somebody takes connections at its address, where that is wanted and while the pod may ask it. Else
    /// nothing is known of it.
    pub async fn reach(&self) {
        if self.config.watch && self.core.admits().is_ok() {
            self.reach.dial(self.config.at, &self.config.name).await;
        } else {
            self.reach.forget();
        }
    }

    /// What it cannot be asked without, and is not there or cannot be used.
    pub fn lack(&self) -> impl Iterator<Item = Lack> {
        let no_key = self.key.as_ref().is_some_and(|key| key.get().is_none());
        let no_ca = self.ca.as_ref().is_some_and(|ca| ca.get().is_none());
        let port = self.config.port;
        let needs = [
            (no_key, Need::Key),
            (no_ca, Need::Ca),
            (self.reach.away(), Need::Listener),
        ];
        (needs.into_iter())
            .filter(|(lacks, _)| *lacks)
            .map(move |(_, what)| Lack { port, what })
    }

    /// Answers one request of the program.
    pub async fn handle(self: Arc<Self>, request: Request<Arriving>) -> Response<Body> {
        let answer = self.ask(request).await;
        let answer = answer.unwrap_or_else(Refusal::into_response);
        let asked = Asked {
            model: self.config.name.clone(),
            code: answer.status().as_u16(),
        };
        self.counts.asked.get_or_create(&asked).inc();
        answer
    }

    async fn ask(&self, request: Request<Arriving>) -> Result<Response<Body>, Refusal> {
        // What leads out of the pod is shut first.
        self.core
            .admits()
            .map_err(|reason| Refusal::not_sealed(&reason))?;
        let (head, body) = request.into_parts();
        let route = Route::find(head.version, &head.method, &head.uri, &head.headers)?;
        if route == Route::Model {
            // The list tells a program as much.
            return Err(routes::not_found());
        }
        let key = self.key()?;
        let tls = self.tls()?;
        if body.size_hint().lower() > MAX_BODY as u64 {
            return Err(too_large());
        }
        let places = Arc::clone(&self.places);
        let permit = places.try_acquire_owned().map_err(|_| self.busy())?;
        let of = Of {
            model: self.config.name.clone(),
        };
        let place = Place::new(self.counts.in_flight.get_or_create_owned(&of), permit);

        let mut asked = Request::new(Limited::new(body, MAX_BODY));
        *asked.method_mut() = head.method;
        *asked.uri_mut() = self.uri(route)?;
        *asked.headers_mut() = some(&head.headers, &SENT);
        asked.headers_mut().insert(header::HOST, self.host.clone());
        if let Some(key) = key {
            asked.headers_mut().insert(header::AUTHORIZATION, key);
        }
        let dialled = dial(self.config.at, tls).await;
        let (mut sender, driver) = dialled.map_err(|error| self.broken(&error))?;
        let answer = match timeout(ENGINE_PATIENCE, sender.send_request(asked)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if is_too_large(&error) => return Err(too_large()),
            Ok(Err(error)) => return Err(self.broken(&error)),
            Err(_) => {
                let message = format!("the model {} took too long", self.config.name);
                let status = StatusCode::GATEWAY_TIMEOUT;
                return Err(Refusal::new(status, "model_timeout", message).close());
            }
        };
        let (head, body) = answer.into_parts();
        let mut given = Response::new(Carried::new(body, driver, place).boxed_unsync());
        *given.status_mut() = self.given(head.status)?;
        *given.headers_mut() = some(&head.headers, &GIVEN);
        Ok(given)
    }

    /// A model leads nowhere else, and switches to nothing.
    fn given(&self, status: StatusCode) -> Result<StatusCode, Refusal> {
        let fine = status.is_success() || status.is_client_error() || status.is_server_error();
        fine.then_some(status).ok_or_else(|| self.broken(&status))
    }

    fn uri(&self, route: Route) -> Result<http::Uri, Refusal> {
        let own = route.path().strip_prefix(BASE).unwrap_or(route.path());
        let path = format!("{}{own}", self.config.path);
        path.parse()
            .map_err(|error: http::uri::InvalidUri| self.broken(&error))
    }

    fn key(&self) -> Result<Option<HeaderValue>, Refusal> {
        let Some(entry) = &self.key else {
            return Ok(None);
        };
        let what = "its key is not there: make the Secret that apiKeySecretRef names";
        let missing = || self.missing("SecretMissing", what);
        entry.get().map(Some).ok_or_else(missing)
    }

    fn tls(&self) -> Result<Option<(&str, Arc<ClientConfig>)>, Refusal> {
        let (Some(TlsConfig { host, .. }), Some(ca)) = (&self.config.tls, &self.ca) else {
            return Ok(None);
        };
        let what = "its CA is not there: make the ConfigMap that caConfigMapRef names";
        let missing = || self.missing("ConfigMapMissing", what);
        let config = ca.get().ok_or_else(missing)?;
        Ok(Some((host, config)))
    }

    fn missing(&self, code: &'static str, what: &str) -> Refusal {
        let message = format!(
            "the model {} cannot be asked, because {what}",
            self.config.name
        );
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry(5)
    }

    fn busy(&self) -> Refusal {
        let message = format!(
            "{AT_ONCE} requests to the model {} are under way",
            self.config.name
        );
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "busy", message).retry(1)
    }

    /// Its own words may speak of the network: they are for the log.
    fn broken(&self, error: &impl std::fmt::Display) -> Refusal {
        tracing::warn!(%error, model = self.config.name, "model");
        let message = format!("the model {} gave no answer", self.config.name);
        Refusal::new(StatusCode::BAD_GATEWAY, "model_error", message).retry(2)
    }
}

fn too_large() -> Refusal {
    let message = format!("the body is larger than {MAX_BODY} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).close()
}

fn is_too_large(error: &hyper::Error) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        if error.is::<LengthLimitError>() {
            return true;
        }
        next = error.source();
    }
    false
}

fn some(of: &HeaderMap, names: &[header::HeaderName]) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in names {
        if let Some(value) = of.get(name) {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use prometheus_client::registry::Registry;

    use super::*;
    use crate::seal::session::Session;
    use crate::seal::state;

    fn core() -> Core {
        let config = state::Config {
            when_stale: state::WhenStale::Serve,
            grace: Duration::ZERO,
            own_node: state::OwnNode::Report,
        };
        Core::new(state::Machine::new(config, "pod", Session::random()))
    }

    #[rstest::rstest]
    #[case::a_pod_that_may_ask(core().unsealed(), 1)]
    #[case::a_pod_that_may_not(core(), 0)]
    #[tokio::test]
    async fn nobody_at_an_address_is_known_of(#[case] core: Core, #[case] lacks: usize) {
        // Nobody takes connections at port 1.
        let config = Config {
            name: "assistant".to_owned(),
            port: 11500,
            at: SocketAddr::from(([127, 0, 0, 1], 1)),
            path: "/v1".to_owned(),
            tls: None,
            key: None,
            watch: true,
        };
        let counts = Counts::register(&mut Registry::default());
        let offer = Offer::new(config, Arc::new(core), counts);
        for _ in 0..3 {
            offer.reach.dial(offer.config.at, "assistant").await;
        }
        assert_eq!(offer.lack().count(), 1);
        offer.reach().await;
        assert_eq!(offer.lack().count(), lacks);
    }
}
