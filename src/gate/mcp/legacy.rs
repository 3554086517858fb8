//! The era with a handshake and sessions, 2025-11-25 and before: requests in a session, the stream beside them, taking a
//! broken stream up again, the end. How a session begins is in [`super::begin`].

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::across::Across;
use super::answers::{Denied, accepted, failed, not_allowed};
use super::calls::Hears;
use super::entrance::Held;
use super::front::{Asked, Front};
use super::guests::Guest;
use super::head;
use super::oneway::{answers, notes};
use super::outbox::Outbox;
use super::pump::{Pump, Shape};
use super::replies::Reply;
use super::session::{STANDING_STREAM, Session};
use super::shown::Shown;
use super::stream::Reader;
use crate::gate::answer::{Refusal, whole};
use crate::gate::audit::{Outcome, Record};
use crate::mcp::error::{INVALID_REQUEST, NO_SESSION};
use crate::mcp::{Era, Id, Kind, LATEST_LEGACY, RpcError, tasks};

impl Front {
    /// A POST of this era.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn legacy(self: &Arc<Self>, asked: Asked, held: Held) -> Result<Reply, Denied> {
        match asked.message.kind.clone() {
            Kind::Request { id, method } if method == "initialize" => {
                let begun = self.initialize(asked, &id).await;
                begun.map_err(|denied| denied.to(&id))
            }
            Kind::Request { id, method } => {
                let session = self.session(&asked.headers, &asked.guest);
                let session = session.map_err(|denied| denied.to(&id))?;
                let begun = self.ask(&session, asked, &id, &method, held).await;
                begun.map_err(|denied| denied.to(&id))
            }
            Kind::Notification { method } => {
                let session = self.session(&asked.headers, &asked.guest)?;
                notes(&session, &method, &asked.message, asked.share).await?;
                Ok(Reply::Whole(accepted(), None))
            }
            Kind::Response { id } => {
                let session = self.session(&asked.headers, &asked.guest)?;
                answers(&session, &id, asked.message, asked.share).await?;
                Ok(Reply::Whole(accepted(), None))
            }
        }
    }

    fn session(&self, headers: &HeaderMap, guest: &Guest) -> Result<Arc<Session>, Denied> {
        let Some(id) = head::session(headers) else {
            let error = RpcError::new(INVALID_REQUEST, "the header MCP-Session-Id is missing");
            return Err(Denied::rpc(StatusCode::BAD_REQUEST, error));
        };
        self.sessions.find(id, guest).ok_or_else(no_session)
    }

    /// Begins a call.
    async fn ask(
        self: &Arc<Self>,
        session: &Arc<Session>,
        asked: Asked,
        id: &Id,
        method: &str,
        held: Held,
    ) -> Result<Reply, Denied> {
        self.allows(&asked.message)?;
        let live = match &session.own {
            Some(live) if live.child.is_over() => return Err(no_session()),
            Some(live) => Arc::clone(live),
            None => {
                self.ready()?;
                self.house.own().ok_or_else(super::answers::not_there)?
            }
        };
        let modern = live.hello.era == Era::Modern;
        let mut params = asked.message.params().map_err(super::answers::malformed)?;
        if let Some(reply) = self.here(session, &live, id, method, &params).await {
            return reply;
        }
        let open = session.open(id).map_err(|why| {
            let error = RpcError::new(INVALID_REQUEST, why.to_string());
            Denied::rpc(StatusCode::BAD_REQUEST, error)
        })?;
        let reader = Reader {
            after: 0,
            primes: session.version.as_str() == LATEST_LEGACY,
            ..self.reader(session, (open.stream, &open.outbox), &asked.guest)
        };
        if modern {
            let across = Across {
                session: Arc::clone(session),
                live,
                open,
                id: id.clone(),
                method: method.to_owned(),
                params,
                limit: self.answer_limit,
                shape: filtered(method, self.shown.clone()),
                held: (held, asked.share),
            };
            tokio::spawn(across.run());
            return Ok(Reply::soon(reader, id, asked.accepts, |_| StatusCode::OK).await);
        }
        let pump = Pump {
            outbox: Arc::clone(&open.outbox),
            cancel: open.cancel.clone(),
            id: id.clone(),
            limit: Some(self.answer_limit),
            shape: filtered(method, self.shown.clone()),
            held: Box::new((held, Arc::clone(&live))),
        };
        let mut message = asked.message;
        if session.own.is_none() && tasks::take(&mut params) {
            message.body.put("params", &params);
        }
        let (session, own) = (Arc::clone(session), id.clone());
        // A task of its own: what its client begins is over in the session also when that goes before the child has it.
        tokio::spawn(async move {
            match live.child.ask(message, Some(asked.share), Hears::Log).await {
                Ok(call) => pump.run(call).await,
                Err(_) => (pump.outbox).finish(failed(&own, Outcome::UpstreamError).into()),
            }
            session.over(&own);
        });
        Ok(Reply::soon(reader, id, asked.accepts, |_| StatusCode::OK).await)
    }

    /// Of the stream of that number.
    fn reader(
        &self,
        session: &Arc<Session>,
        (stream, outbox): (u64, &Arc<Outbox>),
        guest: &Guest,
    ) -> Reader {
        Reader {
            outbox: Arc::clone(outbox),
            after: outbox.read_up_to(),
            session: Some((Arc::clone(session), stream, session.reads(stream))),
            primes: false,
            taken_over: outbox.take_over(),
            stands: stream == STANDING_STREAM,
            unread: None,
            stay: self.guests.stay(&guest.pass),
            core: Arc::clone(&self.core),
        }
    }

    /// GET: the stream beside the calls, or one that broke.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn listen(
        self: &Arc<Self>,
        headers: &HeaderMap,
        guest: &Guest,
        record: &mut Record,
    ) -> Result<Reply, Denied> {
        let version = head::version(headers)?;
        if version.is_some_and(|version| version.era() == Era::Modern) {
            return Err(not_allowed());
        }
        if !head::accepts(headers).events {
            let message = "Accept must name text/event-stream";
            return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message).into());
        }
        let session = self.session(headers, guest)?;
        record.rpc("stream", None, session.version.as_str());
        let (stream, after) = match head::last_event(headers) {
            Some((stream, after)) => (stream, Some(after)),
            None => (STANDING_STREAM, None),
        };
        let outbox = session.stream(stream);
        // Who has all of a stream and asks again would do so for ever.
        let outbox = outbox.filter(|outbox| outbox.goes_on(after.unwrap_or_default()));
        let outbox = outbox.ok_or_else(|| {
            let error = RpcError::new(
                INVALID_REQUEST,
                "this stream is over: its call was answered",
            );
            Denied::rpc(StatusCode::BAD_REQUEST, error)
        })?;
        let reader = self.reader(&session, (stream, &outbox), guest);
        let after = after.unwrap_or(reader.after);
        Ok(Reply::Stream(Reader { after, ..reader }))
    }

    /// DELETE: the client ends its session.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn leave(
        &self,
        headers: &HeaderMap,
        guest: &Guest,
        record: &mut Record,
    ) -> Result<Reply, Denied> {
        let version = head::version(headers)?;
        if version.is_some_and(|version| version.era() == Era::Modern) {
            return Err(not_allowed());
        }
        let session = self.session(headers, guest)?;
        record.rpc("leave", None, session.version.as_str());
        self.sessions.end(&session.id);
        Ok(Reply::Whole(http::Response::new(whole("")), None))
    }
}

/// There is no such session, or not of this caller, or its child has ended.
#[must_use]
pub fn no_session() -> Denied {
    let error = RpcError::new(NO_SESSION, "there is no such session: initialize again");
    Denied::rpc(StatusCode::NOT_FOUND, error)
}

/// The answer to `tools/list` as clients may see it; every other one as it is.
fn filtered(method: &str, shown: Shown) -> Shape {
    let lists = method == "tools/list";
    Box::new(move |mut said| {
        if lists {
            said.message = shown.answer(said.message);
        }
        said
    })
}
