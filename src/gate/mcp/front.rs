//! The endpoint: who may ask what, in either era of the protocol.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};

use super::answers::{Denied, draining, malformed, not_allowed, unavailable};
use super::budget::Share;
use super::guests::{Guest, Guests};
use super::head::{self, Accepts};
use super::hosts::Hosts;
use super::house::House;
use super::http::Http;
use super::listeners::Listeners;
use super::parked::Parked;
use super::replies::{self, Reply};
use super::sessions::Sessions;
use super::shown::Shown;
use super::stateless::Stateless;
use crate::gate::answer::{Body, Refusal};
use crate::gate::arriving::Arriving;
use crate::gate::audit::{Audit, Record};
use crate::gate::bodies::{Bodies, Taken};
use crate::gate::budgets::{Budgets, Standing, till};
use crate::gate::callers::{Caller, Callers};
use crate::gate::core::Core;
use crate::gate::listen::Peer;
use crate::gate::metrics::Metrics;
use crate::gate::queue::Queue;
use crate::mcp::{Era, Kind, Message, Version, method};

/// The path of the endpoint.
pub const PATH: &str = "/mcp";

/// The endpoint.
pub struct Front {
    /// The gate's knowledge.
    pub core: Arc<Core>,
    /// Who may ask.
    pub callers: Arc<Callers>,
    /// How long their streams and sessions last.
    pub guests: Arc<Guests>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who asked what.
    pub audit: Audit,
    /// The children.
    pub house: Arc<House>,
    /// The sessions of the legacy era.
    pub sessions: Arc<Sessions>,
    /// The server, where it speaks HTTP and has no children.
    pub http: Option<Arc<Http>>,
    /// The children of callers of the stateless era.
    pub stateless: Arc<Stateless>,
    /// Their calls that wait for what the server asked.
    pub parked: Arc<Parked>,
    /// Their subscriptions, where the server has none.
    pub listeners: Arc<Listeners>,
    /// What clients see of the tools.
    pub shown: Shown,
    /// Under which names it may be asked for.
    pub hosts: Hosts,
    /// The memory for bodies.
    pub bodies: Bodies,
    /// How many requests are under way.
    pub queue: Queue,
    /// How many each caller may send.
    pub budgets: Option<Arc<Budgets>>,
    /// For a whole answer.
    pub answer_limit: Duration,
}

/// A request as the two eras take it.
pub struct Asked {
    /// Its header fields.
    pub headers: HeaderMap,
    /// The message.
    pub message: Message,
    /// Who asks.
    pub guest: Guest,
    /// Its share of the memory for bodies.
    pub share: Share,
    /// What the client can read.
    pub accepts: Accepts,
}

impl Front {
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
            let refusal = unavailable("AuditUnavailable", message).retry(5);
            return Denied::from(refusal).into_response();
        };
        let id = record.id();
        let mut standing = Standing::default();
        let served = self.serve(request, &mut record, &mut standing);
        let mut response = replies::response(served.await, record);
        let headers = response.headers_mut();
        if let Some(id) = id {
            headers.insert("x-request-id", id);
        }
        standing.write(headers);
        response
    }

    async fn serve(
        self: &Arc<Self>,
        request: Request<Arriving>,
        record: &mut Record,
        standing: &mut Standing,
    ) -> Result<Reply, Denied> {
        if request.uri().path() == PATH {
            record.at(PATH);
        }
        // An unsealed pod says nothing else, and a stranger learns nothing of the routes.
        self.sealed()?;
        self.hosts.check(request.uri(), request.headers())?;
        let (called, pass) = self.callers.admit(request.headers())?;
        record.called(&called);
        if request.uri().path() != PATH || request.headers().contains_key(header::UPGRADE) {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "no such route").into());
        }
        self.fitting()?;
        let (head, body) = request.into_parts();
        if head.method == Method::GET {
            till::charge(self.budgets.as_ref(), &called, &self.metrics, standing)?;
        }
        let identity = called.identity();
        let guest = Guest { identity, pass };
        if let Some(http) = &self.http
            && (head.method == Method::GET || head.method == Method::DELETE)
        {
            let method = head.method.clone();
            let label = if method == Method::GET {
                "stream"
            } else {
                "leave"
            };
            // A server of its own may speak a revision that is not known here, as with POST.
            let version = head::version(&head.headers).unwrap_or(None);
            record.rpc(label, None, shown(version));
            let (headers, guest) = (&head.headers, &guest);
            return self.through(http, method, headers, None, guest, None).await;
        }
        if head.method == Method::GET {
            return self.listen(&head.headers, &guest, record);
        }
        if head.method == Method::DELETE {
            return self.leave(&head.headers, &guest, record);
        }
        if head.method != Method::POST {
            return Err(not_allowed());
        }
        self.post(head, body, (&called, guest), record, standing)
            .await
    }

    /// A message of a client, to whichever era it is of.
    async fn post(
        self: &Arc<Self>,
        head: Parts,
        body: Arriving,
        (called, guest): (&Caller, Guest),
        record: &mut Record,
        standing: &mut Standing,
    ) -> Result<Reply, Denied> {
        head::is_json(&head.headers)?;
        let accepts = head::accepts(&head.headers);
        if !accepts.json && !accepts.events {
            let message = "Accept must name application/json and text/event-stream";
            return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message).into());
        }
        let in_flight = self.core.enter(&head.extensions).ok_or_else(draining)?;
        let Taken { bytes, budget } = self.bodies.read(body, &self.metrics).await?;
        record.read(bytes.len() as u64);
        let message = Message::of_client(&bytes).map_err(malformed)?;
        drop(bytes);
        let about = |denied: Denied| match &message.kind {
            Kind::Request { id, .. } => denied.to(id),
            _ => denied,
        };
        let version = match head::version(&head.headers) {
            Ok(version) => version,
            // A server that is asked directly says itself what it speaks.
            Err(_) if self.http.is_some() => None,
            Err(denied) => return Err(about(denied)),
        };
        let label = message.method().map_or("response", method::label);
        let asked = Asked {
            headers: head.headers,
            message,
            guest,
            share: budget,
            accepts,
        };
        let modern = version.is_some_and(|version| version.era() == Era::Modern)
            || super::modern::says_so(&asked.message);
        let shown = if modern {
            crate::mcp::MODERN
        } else {
            shown(version)
        };
        record.rpc(label, self.tool(&asked.message), shown);
        // What a call waits for, its client's answer or that it is given up, waits for no call and costs nothing.
        let slot = match &asked.message.kind {
            Kind::Request { id, .. } => {
                let slot = self.let_in(called, standing).await;
                Some(slot.map_err(|denied| denied.to(id))?)
            }
            Kind::Notification { .. } | Kind::Response { .. } => None,
        };
        let entered = (in_flight, slot);
        if let Some(http) = &self.http {
            self.allows(&asked.message)?;
            let (headers, message, guest) = (&asked.headers, &asked.message, &asked.guest);
            let (method, held) = (Method::POST, Some(entered));
            let passed = self.through(http, method, headers, Some(message), guest, held);
            return passed.await.map_err(|denied| match &message.kind {
                Kind::Request { id, .. } => denied.to(id),
                Kind::Notification { .. } | Kind::Response { .. } => denied,
            });
        }
        if modern {
            self.modern(asked, version, entered).await
        } else {
            self.legacy(asked, entered).await
        }
    }

    /// The tool that is called, as the audit names it: never by a text of the client.
    fn tool(&self, message: &Message) -> Option<String> {
        if message.method() != Some("tools/call") {
            return None;
        }
        let name = message.params().ok()?.text("name")?;
        Some(self.shown.called(name))
    }
}

/// The revision of a request, for the audit.
fn shown(version: Option<Version>) -> &'static str {
    version.map_or(crate::mcp::era::UNSAID, Version::as_str)
}
