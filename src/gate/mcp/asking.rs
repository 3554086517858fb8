//! Requests of the stateless era during which a server of the older one may ask something: how they begin, and how their
//! clients come back.

use std::sync::Arc;

use http::StatusCode;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::answers::Denied;
use super::call::Call;
use super::entrance::Held;
use super::front::{Asked, Front};
use super::live::Live;
use super::modern::status;
use super::outbox::Outbox;
use super::parked::{NotParked, Owner, Turn};
use super::pump::Shape;
use super::replies::Reply;
use super::turns::Turns;
use crate::mcp::error::INVALID_PARAMS;
use crate::mcp::retry::{Fingerprint, Retry};
use crate::mcp::{Askable, Id, Level, Object, RpcError, method};

/// What is known of such a request before it begins.
pub struct Asking {
    owner: Owner,
    askable: Askable,
    token: Option<Box<RawValue>>,
    from: Option<Level>,
}

impl Asking {
    /// Of this request; `None` where nothing can be asked during it.
    #[must_use]
    pub fn of(caller: &str, method: &str, params: &Object, askable: Askable) -> Option<Self> {
        let asks = method::may_ask(method) && !askable.is_nothing();
        asks.then(|| Self {
            owner: owner(caller, method, params),
            askable,
            token: progress_token(params),
            from: Level::wanted(params),
        })
    }
}

/// Who waits for a request: its id, where its messages go, how it is given up, its place among all.
pub type Waits = (Id, Arc<Outbox>, CancellationToken, Held);

impl Front {
    /// Takes such a request to its end, over all its turns.
    pub fn take_turns(
        &self,
        asking: Asking,
        waits: Waits,
        live: Arc<Live>,
        call: Call,
        shape: Shape,
    ) {
        let (id, outbox, cancel, held) = waits;
        let turn = Turn {
            id,
            outbox,
            cancel,
            held: Some(held),
            token: asking.token,
            from: asking.from,
            askable: asking.askable,
            answers: Object::default(),
            share: None,
        };
        let turns = Turns {
            live,
            parked: Arc::clone(&self.parked),
            owner: asking.owner,
            limit: self.answer_limit,
            patience: self.house.config.idle,
            shape,
        };
        tokio::spawn(turns.run(call, turn));
    }

    /// A client that brings what a call waits for.
    ///
    /// # Errors
    /// Nothing waits for it.
    pub async fn come_back(
        &self,
        asked: Asked,
        retry: Retry,
        (id, method): (&Id, &str),
        params: &Object,
        askable: Askable,
        held: Held,
    ) -> Result<Reply, Denied> {
        let (outbox, cancel, reader) = self.open(false, &asked.guest);
        let turn = Turn {
            id: id.clone(),
            outbox,
            cancel,
            held: Some(held),
            token: progress_token(params),
            from: Level::wanted(params),
            askable,
            answers: retry.answers,
            share: Some(asked.share),
        };
        let owner = owner(&asked.guest.identity, method, params);
        let resumed = self.parked.resume(&retry.state, &owner, turn);
        resumed.map_err(no_retry)?;
        Ok(Reply::soon(reader, id, asked.accepts, status).await)
    }
}

/// The retry that a request is; `None` where it is the first of its call.
///
/// # Errors
/// It is neither.
pub fn retry(params: &Object) -> Result<Option<Retry>, Denied> {
    Retry::of(params).map_err(no_retry)
}

/// Refuses a retry where nothing can wait for it.
///
/// # Errors
/// It is one.
pub fn is_first(params: &Object) -> Result<(), Denied> {
    match retry(params)? {
        None => Ok(()),
        Some(_) => Err(no_retry(NotParked::Unknown)),
    }
}

fn no_retry(why: impl std::fmt::Display) -> Denied {
    let error = RpcError::new(INVALID_PARAMS, why.to_string());
    Denied::rpc(StatusCode::OK, error)
}

fn owner(caller: &str, method: &str, params: &Object) -> Owner {
    Owner {
        caller: caller.to_owned(),
        call: Fingerprint::of(method, params),
    }
}

fn progress_token(params: &Object) -> Option<Box<RawValue>> {
    let meta = params.object("_meta")?;
    meta.get("progressToken").map(ToOwned::to_owned)
}
