//! What a server of the older era tells clients without a session of its lists and resources, and sessions that share its
//! child of resources. Whoever wants to hear of a resource is counted, and the child is asked by the gate.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::child::Child;
use super::follow::{Follow, Home};
use super::front::Front;
use super::guests::Guest;
use super::house::Isolation;
use super::listeners::Listeners;
use super::live::Live;
use super::modern::subscribed;
use super::outbox::Outbox;
use super::session::Session;
use super::stream::Reader;
use super::subscribed::Wanted;
use super::subscriptions::list_changes;
use super::telling::{NotTold, leave_all, want, want_all};
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
        let fits = (self.listeners).add(&self.id, filter, &live.child, &self.outbox);
        if !fits {
            return leave_all(&live.child, caller.as_ref(), &follow.uris).await;
        }
        let moved = |child: &Arc<Child>| self.listeners.moves(&self.outbox, child);
        if follow.run(live, moved).await.is_err() {
            // What was acknowledged does not hold any more, and the client learns it (Graceful Closure).
            let over = modern_result("subscriptions/listen", Object::default(), server.as_ref());
            let over = Message::result(&self.id, &subscribed(over, &self.id));
            self.outbox.finish(over.into());
        }
    }
}

impl Front {
    /// `subscriptions/listen` of a client without a session: it hears from the child that serves it, of what that says it
    /// tells of.
    pub fn tells(
        &self,
        id: &Id,
        params: &Object,
        guest: Guest,
        askable: Askable,
        live: Arc<Live>,
    ) -> Reader {
        let (outbox, until, reader) = self.open(true, &guest);
        let mut filter = Filter::of(params);
        filter.keep_lists(&list_changes(&live));
        if !live.hello.tells_of_resources() {
            filter.uris.clear();
        }
        let caller = guest.identity;
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

    /// A session that shares its child wants to hear of a resource, until it ends or says that it no longer does.
    ///
    /// # Errors
    /// [`NotTold`].
    pub async fn subscribe(
        &self,
        session: &Arc<Session>,
        live: &Arc<Live>,
        uri: Arc<str>,
    ) -> Result<(), NotTold> {
        let wanted = session.subscribe(uri.to_string());
        let (wanted, is_new) = wanted.map_err(NotTold::TooMany)?;
        if !is_new {
            let agreed = wanted.is_agreed().await;
            return agreed.then_some(()).ok_or(NotTold::Silent);
        }
        let Wanted { until, agreed } = wanted;
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
            let over = || session.hushed(&uri, &follow.until);
            if let Err(why) = want(Arc::clone(&live.child), None, Arc::clone(&uri)).await {
                // Before it hears of that, or what it asks for again would be there.
                over();
                let _ = told.send(Err(why));
                return;
            }
            agreed.cancel();
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
