//! What a session asks that the gate answers itself: where its server is of the stateless era and has no word for it,
//! and where it shares a child of its own era, which none of them may change for all.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use super::answers::{Denied, failed, json};
use super::budget::held;
use super::front::Front;
use super::live::Live;
use super::replies::Reply;
use super::session::Session;
use super::telling::NotTold;
use crate::gate::audit::Outcome;
use crate::mcp::error::{INVALID_PARAMS, NO_METHOD};
use crate::mcp::{Era, Id, Object, RpcError, tasks};

/// Longest level of a log that is kept, in bytes.
const MAX_LEVEL: usize = 32;

impl Front {
    /// The answer; `None` where the server gives it.
    pub async fn here(
        &self,
        session: &Arc<Session>,
        live: &Arc<Live>,
        id: &Id,
        method: &str,
        params: &Object,
    ) -> Option<Result<Reply, Denied>> {
        let era = live.hello.era;
        if era == Era::Legacy && session.own.is_some() {
            return None;
        }
        let uri = params.text("uri").unwrap_or_default();
        match method {
            "ping" => {}
            // Said with each request to a server of the stateless era. What a shared child of the other one logs is
            // passed to nobody, so its level is nobody's.
            "logging/setLevel" => {
                let level = params.get("level");
                let level = level.filter(|level| level.get().len() <= MAX_LEVEL);
                session.wants_log(level.map(ToOwned::to_owned));
            }
            "resources/subscribe" => {
                let subscribed = match era {
                    Era::Modern => self.subscribe_across(session, live, uri).await,
                    Era::Legacy => self.subscribe(session, live, uri.into()).await,
                };
                if let Err(why) = subscribed {
                    return Some(refused(why, id, live));
                }
            }
            "resources/unsubscribe" => session.unsubscribe(&uri),
            // Those of all clients would be told to each.
            _ if era == Era::Legacy && tasks::is_method(method) => {
                let error = RpcError::new(NO_METHOD, "Method not found");
                return Some(Err(Denied::rpc(StatusCode::OK, error)));
            }
            _ => return None,
        }
        Some(Ok(Reply::result(id, &json!({}))))
    }
}

/// Why a session will not hear of a resource: in the server's words, if it has any.
fn refused(why: NotTold, id: &Id, live: &Live) -> Result<Reply, Denied> {
    let said = match why {
        NotTold::TooMany(why) => {
            let error = RpcError::new(INVALID_PARAMS, why.to_string());
            return Err(Denied::rpc(StatusCode::OK, error));
        }
        NotTold::Refused(said) => said,
        NotTold::Silent if live.child.is_over() => failed(id, Outcome::UpstreamError).into(),
        NotTold::Silent => failed(id, Outcome::Timeout).into(),
    };
    let answer = said.message.with_id(id);
    let text = held(answer.to_line(), said.budget);
    let code = answer.error_code();
    Ok(Reply::Whole(json(StatusCode::OK, text), code))
}
