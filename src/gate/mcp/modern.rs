//! The stateless era, 2026-07-28: every POST stands for itself, and the end of its connection gives it up.

use std::sync::Arc;

use http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::answers::{Denied, accepted, not_there};
use super::asking::{self, Asking};
use super::begin::no_child;
use super::calls::Hears;
use super::claims;
use super::entrance::Held;
use super::front::{Asked, Front};
use super::guests::Guest;
use super::house::Isolation;
use super::live::Live;
use super::outbox::{CALL, LISTEN, Outbox};
use super::pump::{Pump, Shape};
use super::replies::Reply;
use super::shown::Shown;
use super::stream::Reader;
use crate::mcp::error::{
    HEADER_MISMATCH, INVALID_REQUEST, MISSING_CAPABILITY, NO_METHOD, UNSUPPORTED_VERSION,
};
use crate::mcp::translate::{
    SUBSCRIPTION, VERSION, discover_result, modern_error, modern_result, to_legacy,
};
use crate::mcp::{
    Askable, Era, Id, Kind, Level, Message, Object, RpcError, Version, method, tasks,
};

/// Whether a message names a revision as only this era does.
#[must_use]
pub fn says_so(message: &Message) -> bool {
    let meta = message
        .params()
        .ok()
        .and_then(|params| params.object("_meta"));
    meta.is_some_and(|meta| meta.has(VERSION))
}

/// The HTTP status of an answer with this error (2026-07-28, Streamable HTTP).
#[must_use]
pub fn status(error: Option<i64>) -> StatusCode {
    match error {
        Some(NO_METHOD) => StatusCode::NOT_FOUND,
        Some(HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

impl Front {
    /// A POST of this era.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn modern(
        self: &Arc<Self>,
        asked: Asked,
        version: Option<Version>,
        held: Held,
    ) -> Result<Reply, Denied> {
        match asked.message.kind.clone() {
            Kind::Request { id, method } => {
                let begun = self.ask_modern(asked, version, &id, &method, held).await;
                begun.map_err(|denied| denied.to(&id))
            }
            // This revision knows none; the connection's end says what `notifications/cancelled` would.
            Kind::Notification { .. } => Ok(Reply::Whole(accepted(), None)),
            Kind::Response { .. } => {
                let error = RpcError::new(INVALID_REQUEST, "a client sends no responses");
                Err(Denied::rpc(StatusCode::BAD_REQUEST, error))
            }
        }
    }

    async fn ask_modern(
        self: &Arc<Self>,
        asked: Asked,
        version: Option<Version>,
        id: &Id,
        method: &str,
        held: Held,
    ) -> Result<Reply, Denied> {
        let params = asked.message.params();
        let params = params.map_err(super::answers::malformed)?;
        let capabilities = claims::check(&asked.headers, version, method, &params)?;
        let no_method = || {
            let error = RpcError::new(NO_METHOD, "Method not found");
            Err(Denied::rpc(StatusCode::NOT_FOUND, error))
        };
        if method::is_legacy_only(method) {
            return no_method();
        }
        self.allows(&asked.message)?;
        if method == "tools/call" {
            let name = params.text("name").unwrap_or_default();
            claims::check_params(&asked.headers, &self.house.known.annotated(&name), &params)?;
        }
        let askable = Askable::of(&capabilities);
        if matches!(self.house.known.era(), Some((Era::Legacy, _)))
            && let Some(retry) = asking::retry(&params)?
        {
            let reply = self.come_back(asked, retry, (id, method), &params, askable, held);
            return reply.await;
        }
        let live = self
            .stateless_child(&asked.guest.identity, &askable)
            .await?;
        let legacy = live.hello.era == Era::Legacy;
        if legacy {
            // Its era may have been unknown until now.
            asking::is_first(&params)?;
        }
        // A shared child was told that its clients can be asked nothing, and they have no tasks in it.
        let own = self.house.config.isolation == Isolation::PerSession;
        if legacy && !own && tasks::is_method(method) {
            return no_method();
        }
        if method == "server/discover" && legacy {
            let result = discover_result(&live.hello.result);
            return Ok(Reply::result(id, &result));
        }
        let listens = method == "subscriptions/listen";
        if listens && legacy {
            let reader = self.tells(id, &params, asked.guest, askable, live);
            return Ok(Reply::Stream(reader));
        }
        let asking = if legacy && own {
            Asking::of(&asked.guest.identity, method, &params, askable)
        } else {
            None
        };
        let from = Level::wanted(&params);
        let mut message = asked.message;
        if legacy {
            let mut params = to_legacy(params);
            if !own {
                tasks::take(&mut params);
            }
            message.body.put("params", &params);
        }
        let (outbox, cancel, reader) = self.open(listens, &asked.guest);
        let asks = asking.is_some();
        let hears = if listens {
            Hears::Own
        } else {
            Hears::Stateless { from, asks }
        };
        let call = live
            .child
            .ask(message, Some(asked.share), hears)
            .await
            .map_err(|gone| no_child(gone.into()))?;
        let shape = shape(method, &live, self.shown.clone());
        if let Some(asking) = asking {
            let waits = (id.clone(), outbox, cancel, held);
            self.take_turns(asking, waits, live, call, shape);
        } else {
            let pump = Pump {
                outbox,
                cancel,
                id: id.clone(),
                limit: (!listens).then_some(self.answer_limit),
                shape,
                // A subscription would hold a drain up.
                held: if listens {
                    Box::new(live)
                } else {
                    Box::new((held, live))
                },
            };
            tokio::spawn(pump.run(call));
        }
        if listens {
            return Ok(Reply::Stream(reader));
        }
        Ok(Reply::soon(reader, id, asked.accepts, status).await)
    }

    /// Where what comes of a request of this era goes, what gives it up, and who reads it: without a reader it is given
    /// up.
    pub fn open(&self, stands: bool, guest: &Guest) -> (Arc<Outbox>, CancellationToken, Reader) {
        let outbox = Arc::new(if stands {
            Outbox::standing(LISTEN, &self.house.limits.budget)
        } else {
            Outbox::new(CALL)
        });
        let cancel = CancellationToken::new();
        let reader = Reader {
            taken_over: outbox.take_over(),
            outbox: Arc::clone(&outbox),
            after: 0,
            session: None,
            primes: false,
            stands,
            unread: Some(cancel.clone().drop_guard()),
            stay: self.guests.stay(&guest.pass),
            core: Arc::clone(&self.core),
        };
        (outbox, cancel, reader)
    }

    /// A child for a request that stands for itself.
    async fn stateless_child(&self, caller: &str, askable: &Askable) -> Result<Arc<Live>, Denied> {
        match self.house.config.isolation {
            Isolation::Shared => {
                self.ready()?;
                self.house.own().ok_or_else(not_there)
            }
            Isolation::PerSession => {
                let child = self.stateless.child(caller, askable).await;
                child.map_err(no_child)
            }
        }
    }
}

/// What becomes of an answer on its way to a client of this era.
fn shape(method: &str, live: &Arc<Live>, shown: Shown) -> Shape {
    let (method, live) = (method.to_owned(), Arc::clone(live));
    Box::new(move |mut said| {
        let legacy = live.hello.era == Era::Legacy;
        if method == "tools/list" {
            said.message = shown.answer(said.message);
        }
        if let Some(mut result) = said.message.body.object("result") {
            if method == "server/discover" {
                result.put("supportedVersions", &Version::all());
            }
            if legacy {
                result = modern_result(&method, result, live.hello.server_info().as_ref());
            }
            said.message.body.put("result", &result);
        } else if legacy && let Some(error) = said.message.body.object("error") {
            said.message.body.put("error", &modern_error(error));
        }
        said
    })
}

/// With the client's own name for its subscription.
#[must_use]
pub fn subscribed(mut params: Object, id: &Id) -> Object {
    let mut meta = params.object("_meta").unwrap_or_default();
    meta.put(SUBSCRIPTION, id);
    params.put("_meta", &meta);
    params
}
