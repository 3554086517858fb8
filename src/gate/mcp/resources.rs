//! Updates of single resources where the server is of the older era: for clients without a session, and for sessions
//! that share its child. Whoever wants to hear of a resource is counted, and the child is asked by the gate.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::answers::{Denied, failed, json};
use super::budget::held;
use super::child::Child;
use super::follow::{Follow, Home};
use super::front::{Front, Reply};
use super::house::Isolation;
use super::legacy::too_many;
use super::listeners::Listeners;
use super::live::Live;
use super::modern::subscribed;
use super::outbox::{CALL, Outbox};
use super::session::Session;
use super::stream::Reader;
use super::telling::{NotTold, leave_all, want, want_all};
use crate::gate::audit::Outcome;
use crate::mcp::filter::UPDATED;
use crate::mcp::translate::modern_result;
use crate::mcp::{Askable, Filter, Id, Message, Object};

/// A subscription of a client without a session.
struct Stream {
    id: Id,
    listeners: Arc<Listeners>,
    outbox: Arc<Outbox>,
}

impl Stream {
    /// From the first question to the child until the client goes, or a later child does not tell of all of it.
    async fn run(self, mut follow: Follow, mut filter: Filter, live: Arc<Live>) {
        let caller = follow.caller.clone();
        let server = live.hello.server_info();
        filter.uris = want_all(&live.child, caller.as_ref(), &filter.uris).await;
        follow.uris.clone_from(&filter.uris);
        let fits = (self.listeners).add(&self.id, filter, Some(&live.child), &self.outbox);
        if !fits {
            return leave_all(&live.child, caller.as_ref(), &follow.uris).await;
        }
        let moved = |child: &Arc<Child>| self.listeners.moves(&self.outbox, child);
        if !follow.uris.is_empty() && follow.run(live, moved).await.is_err() {
            // What was acknowledged does not hold any more, and the client learns it (Graceful Closure).
            let over = modern_result("subscriptions/listen", Object::default(), server.as_ref());
            let over = Message::result(&self.id, &subscribed(over, &self.id));
            self.outbox.finish(over.into());
        }
    }
}

impl Front {
    /// `subscriptions/listen` of a client without a session: of lists it hears from the gate's own child, of resources
    /// from the one that serves it.
    pub fn tells(
        &self,
        id: &Id,
        params: &Object,
        caller: String,
        askable: Askable,
        live: Arc<Live>,
    ) -> Reader {
        let outbox = Arc::new(Outbox::new(CALL));
        let until = CancellationToken::new();
        let guard = until.clone().drop_guard();
        let reader = self.stateless_reader(Arc::clone(&outbox), guard, true);
        let mut filter = Filter::of(params);
        if !live.hello.tells_of_resources() {
            filter.uris.clear();
        }
        if filter.uris.is_empty() {
            self.listeners.add(id, filter, None, &outbox);
            return reader;
        }
        let counted = Some(caller.as_str().into());
        let home = match self.house.config.isolation {
            Isolation::Shared => Home::Shared(Arc::clone(&self.house)),
            Isolation::PerSession => Home::Own(Arc::clone(&self.stateless), caller, askable),
        };
        let follow = Follow {
            home,
            caller: counted,
            uris: Vec::new(),
            until,
        };
        let stream = Stream {
            id: id.clone(),
            listeners: Arc::clone(&self.listeners),
            outbox,
        };
        tokio::spawn(stream.run(follow, filter, live));
        reader
    }

    /// What a session that shares its child is answered here: none of them may change it for all.
    pub async fn for_all(
        &self,
        session: &Arc<Session>,
        live: &Arc<Live>,
        id: &Id,
        method: &str,
        params: &Object,
    ) -> Option<Result<Reply, Denied>> {
        let uri = || params.text("uri").unwrap_or_default();
        match method {
            // What a shared child logs is passed to nobody, so its level is nobody's.
            "ping" | "logging/setLevel" => {}
            "resources/subscribe" => {
                if let Err(why) = self.subscribe(session, live, uri().into()).await {
                    return Some(refused(why, id, live));
                }
            }
            "resources/unsubscribe" => session.unsubscribe(&uri()),
            _ => return None,
        }
        let answer = Message::result(id, &json!({})).to_line();
        Some(Ok(Reply::Whole(json(StatusCode::OK, answer.into()), None)))
    }

    /// A session wants to hear of a resource, until it ends or says that it no longer does.
    async fn subscribe(
        &self,
        session: &Arc<Session>,
        live: &Arc<Live>,
        uri: Arc<str>,
    ) -> Result<(), NotTold> {
        let until = session.subscribe(uri.to_string());
        let Some(until) = until.map_err(NotTold::TooMany)? else {
            return Ok(());
        };
        let follow = Follow {
            home: Home::Shared(Arc::clone(&self.house)),
            caller: None,
            uris: vec![Arc::clone(&uri)],
            until,
        };
        let (told, tells) = oneshot::channel();
        let (session, live) = (Arc::clone(session), Arc::clone(live));
        // A task of its own: it outlasts this request, and also a client that goes before the child has answered.
        tokio::spawn(async move {
            // The client may ask again then, unless it has done so already.
            let over = || {
                if !follow.until.is_cancelled() {
                    session.unsubscribe(&uri);
                }
            };
            if let Err(why) = want(Arc::clone(&live.child), None, Arc::clone(&uri)).await {
                // Before it hears of that, or what it asks for again would be there.
                over();
                let _ = told.send(Err(why));
                return;
            }
            let _ = told.send(Ok(()));
            let moved = |_: &Arc<Child>| {
                // What has changed since the last child ended nobody knows.
                let params = Object::default().with("uri", &*uri);
                let changed = Message::notification(UPDATED, &params);
                session.standing.push(changed.into());
            };
            if follow.run(live, moved).await.is_err() {
                over();
            }
        });
        tells.await.unwrap_or(Err(NotTold::Silent))
    }
}

/// Why a session will not hear of a resource: in the server's words, if it has any.
fn refused(why: NotTold, id: &Id, live: &Live) -> Result<Reply, Denied> {
    let said = match why {
        NotTold::TooMany(why) => return Err(too_many(why)),
        NotTold::Refused(said) => said,
        NotTold::Silent if live.child.is_over() => failed(id, Outcome::UpstreamError).into(),
        NotTold::Silent => failed(id, Outcome::Timeout).into(),
    };
    let answer = said.message.with_id(id);
    let text = held(answer.to_line(), said.budget);
    let code = answer.error_code();
    Ok(Reply::Whole(json(StatusCode::OK, text), code))
}
