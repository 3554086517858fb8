//! The endpoint: who may ask what, in either era of the protocol.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::answers::{Denied, draining, events, json, malformed, not_allowed, unavailable};
use super::budget::Share;
use super::head::{self, Accepts};
use super::hosts::Hosts;
use super::house::House;
use super::http::Http;
use super::listeners::Listeners;
use super::outbox::Event;
use super::parked::Parked;
use super::sessions::Sessions;
use super::shown::Shown;
use super::stateless::Stateless;
use super::stream::{self, Reader};
use crate::gate::answer::{Body, Refusal};
use crate::gate::arriving::Arriving;
use crate::gate::audit::{Audit, Record, Told};
use crate::gate::bodies::{Bodies, Taken};
use crate::gate::budgets::{Budgets, Standing, till};
use crate::gate::callers::Callers;
use crate::gate::core::{Core, InFlight};
use crate::gate::listen::Peer;
use crate::gate::metrics::Metrics;
use crate::gate::passing::Passing;
use crate::gate::queue::{NoSlot, Queue, Slot};
use crate::mcp::error::INVALID_PARAMS;
use crate::mcp::message::is_meta_plain;
use crate::mcp::{Era, Kind, Message, RpcError, Version, method};

/// The path of the endpoint.
pub const PATH: &str = "/mcp";
/// An answer that is there by then is sent whole; a later one as a stream, with what comes before it.
const SOON: Duration = Duration::from_secs(1);

/// The endpoint.
pub struct Front {
    /// The gate's knowledge.
    pub core: Arc<Core>,
    /// Who may ask.
    pub callers: Arc<Callers>,
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

/// What comes of a request that is not denied.
pub enum Reply {
    /// A whole answer, and the code of the error in it.
    Whole(Response<Body>, Option<i64>),
    /// One that passes as it comes, and the code of an error that may be in it.
    Passing(Response<Body>, Told),
    /// A stream.
    Stream(Reader),
}

/// A request as the two eras take it.
pub struct Asked {
    /// Its header fields.
    pub headers: HeaderMap,
    /// The message.
    pub message: Message,
    /// Who asks, as sessions are told apart.
    pub caller: String,
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
        let mut response = match served.await {
            Ok(Reply::Whole(response, error)) => {
                record.answered(response.status());
                record.rpc_error(error);
                response.map(|body| Passing::new(body, record, None).boxed_unsync())
            }
            Ok(Reply::Passing(response, told)) => {
                record.answered(response.status());
                record.rpc_error_in(told);
                response.map(|body| Passing::new(body, record, None).boxed_unsync())
            }
            Ok(Reply::Stream(reader)) => {
                record.answered(StatusCode::OK);
                events(stream::body(reader, record))
            }
            Err(denied) => {
                record.answered(denied.status());
                record.rpc_error(Some(denied.code()));
                record.settle(denied.outcome());
                denied.into_response()
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
        let called = self.callers.check(request.headers())?;
        record.called(&called);
        if request.uri().path() != PATH || request.headers().contains_key(header::UPGRADE) {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "no such route").into());
        }
        self.fitting()?;
        let (head, body) = request.into_parts();
        let mut charge =
            || till::charge(self.budgets.as_ref(), &called, &self.metrics, standing).map(drop);
        if head.method == Method::GET {
            charge()?;
        }
        let caller = called.identity();
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
            let (headers, caller) = (&head.headers, &caller);
            return self
                .through(http, method, headers, None, caller, None)
                .await;
        }
        if head.method == Method::GET {
            return self.listen(&head.headers, &caller, record);
        }
        if head.method == Method::DELETE {
            return self.leave(&head.headers, &caller, record);
        }
        if head.method != Method::POST {
            return Err(not_allowed());
        }
        head::is_json(&head.headers)?;
        let accepts = head::accepts(&head.headers);
        if !accepts.json && !accepts.events {
            let message = "Accept must name application/json and text/event-stream";
            return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message).into());
        }
        let in_flight = self.core.enter().ok_or_else(draining)?;
        let Taken { bytes, budget } = self.bodies.read(body, &self.metrics).await?;
        record.read(bytes.len() as u64);
        let message = Message::of_client(&bytes).map_err(malformed)?;
        drop(bytes);
        let about = |denied: Denied| match &message.kind {
            Kind::Request { id, .. } => denied.to(id),
            _ => denied,
        };
        // Who leaves, gives a call up or answers what a call asks gives room back, and is never kept from it.
        if let Kind::Request { .. } = &message.kind {
            charge().map_err(|spent| about(spent.into()))?;
        }
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
            caller,
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
        // What a call waits for, its client's answer or that it is given up, waits for no call.
        let slot = match &asked.message.kind {
            Kind::Request { .. } => Some(self.slot().await?),
            Kind::Notification { .. } | Kind::Response { .. } => None,
        };
        let entered = (in_flight, slot);
        if let Some(http) = &self.http {
            self.allows(&asked.message, StatusCode::OK)?;
            let (headers, message, caller) = (&asked.headers, &asked.message, &asked.caller);
            let (method, held) = (Method::POST, Some(entered));
            let passed = self.through(http, method, headers, Some(message), caller, held);
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

    /// The name of the tool that is called, if the server has it: never a text of the client.
    fn tool(&self, message: &Message) -> Option<String> {
        if message.method() != Some("tools/call") {
            return None;
        }
        let name = message.params().ok()?.text("name")?;
        self.house.has_tool(&name).then_some(name)
    }

    /// Refuses a call that the policy does not allow, as if there were no such tool.
    ///
    /// # Errors
    /// 200 or 400 with an error of JSON-RPC.
    pub fn allows(&self, message: &Message, status: StatusCode) -> Result<(), Denied> {
        let Kind::Request { id, method } = &message.kind else {
            return Ok(());
        };
        let invalid = |text: &str| {
            let error = RpcError::new(INVALID_PARAMS, text);
            Denied::rpc(status, error).to(id)
        };
        let params = message.params();
        let params =
            params.map_err(|_| invalid("params is no object in which every name comes once"))?;
        if !is_meta_plain(&params) {
            return Err(invalid(
                "params._meta is no object in which every name comes once",
            ));
        }
        if method != "tools/call" {
            return Ok(());
        }
        let name = params.text("name");
        let name = name.ok_or_else(|| invalid("params.name is no text"))?;
        if self.shown.policy.allows(&name) {
            return Ok(());
        }
        Err(invalid("there is no such tool here"))
    }

    fn sealed(&self) -> Result<(), Refusal> {
        self.core.admits().map_err(|reason| {
            let message = format!("the server is shut: its pod is not proven sealed ({reason})");
            unavailable(&reason, &message).retry(5)
        })
    }

    /// Whether the tools are the pinned ones.
    fn fitting(&self) -> Result<(), Refusal> {
        let obstacle = self.core.obstacle();
        obstacle.map_or(Ok(()), |what| {
            Err(unavailable("ToolsDrift", &what).retry(60))
        })
    }

    /// Whether children can be asked now.
    ///
    /// # Errors
    /// 503.
    pub fn ready(&self) -> Result<(), Refusal> {
        if self.core.runtime().warm {
            return Ok(());
        }
        Err(unavailable("NotReady", "the server does not answer now"))
    }

    async fn slot(&self) -> Result<Slot, Denied> {
        let Some(slot) = self.core.while_serving(self.queue.enter()).await else {
            self.sealed()?;
            return Err(draining().into());
        };
        let slot = slot.map_err(|why| self.no_slot(why))?;
        // The wait may have outlasted the proof, or the tools.
        self.sealed()?;
        self.fitting()?;
        Ok(slot)
    }

    fn no_slot(&self, why: NoSlot) -> Refusal {
        self.metrics
            .no_slot(why, "server", self.queue.retry_after())
    }

    /// The answer whole, if it comes soon and alone, or else the stream in which it will come.
    pub async fn reply(
        &self,
        mut reader: Reader,
        accepts: Accepts,
        status: impl Fn(Option<i64>) -> StatusCode,
    ) -> Reply {
        let outbox = Arc::clone(&reader.outbox);
        if !accepts.json {
            return Reply::Stream(reader);
        }
        let mut first = None;
        if accepts.events {
            match timeout(SOON, outbox.after(reader.after)).await {
                Ok(Some(event)) if event.last => first = Some(event),
                _ => return Reply::Stream(reader),
            }
        }
        let mut at = reader.after;
        while first.is_none() {
            let event = outbox.after(at).await;
            let Some(event) = event else { break };
            at = event.number;
            first = Some(event).filter(|event| event.last);
        }
        if let Some(guard) = reader.unread.take() {
            guard.disarm();
        }
        if let Some((session, stream, _)) = &reader.session {
            session.read(*stream);
        }
        let error = outbox.error();
        let text = first.map_or_else(Bytes::new, |Event { text, .. }| text);
        Reply::Whole(json(status(error), text), error)
    }
}

/// The entrance of a message, held until its call has ended; only what asks for an answer has a slot.
pub type Held = (InFlight, Option<Slot>);

/// The revision of a request, for the audit.
fn shown(version: Option<Version>) -> &'static str {
    version.map_or(crate::mcp::era::UNSAID, Version::as_str)
}
