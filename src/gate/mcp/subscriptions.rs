//! What sessions hear from a server of the stateless era: a `subscriptions/listen` there for each resource of each, and one
//! for all lists of a session with a child of its own. They go on when the server closes them, and in the next child.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::call::{Call, Heard};
use super::child::{Child, Gone};
use super::front::Front;
use super::house::House;
use super::live::Live;
use super::pace::Pace;
use super::session::Session;
use super::subscribed::{TooMany, Wanted};
use super::telling::{NotTold, PATIENCE};
use crate::mcp::error::INVALID_PARAMS;
use crate::mcp::filter::ACKNOWLEDGED;
use crate::mcp::translate::without_subscription;
use crate::mcp::{Era, Filter, Id, Message, Object, RpcError};

/// All lists of which a server says that it tells.
#[must_use]
pub fn list_changes(live: &Live) -> Filter {
    let capabilities = live.hello.result.object("capabilities");
    Filter::declared(&capabilities.unwrap_or_default())
}

/// One of a session.
struct Subscription {
    house: Arc<House>,
    session: Arc<Session>,
    wanted: Filter,
}

impl Front {
    /// A session wants to hear of a resource, until it ends or says that it no longer does. It does once the server has
    /// acknowledged that.
    ///
    /// # Errors
    /// [`NotTold`].
    pub async fn subscribe_across(
        &self,
        session: &Arc<Session>,
        live: &Arc<Live>,
        uri: String,
    ) -> Result<(), NotTold> {
        let places = Arc::clone(&self.house.subscriptions);
        let place = places.try_acquire_owned();
        let place = place.map_err(|_| NotTold::TooMany(TooMany))?;
        let asked = session.subscribe(uri.clone());
        let (asked, is_new) = asked.map_err(NotTold::TooMany)?;
        if !is_new {
            drop(place);
            let agreed = asked.is_agreed().await;
            return agreed.then_some(()).ok_or(NotTold::Silent);
        }
        let Wanted { until, agreed } = asked;
        let mut wanted = Filter::default();
        wanted.uris.push(uri.as_str().into());
        let subscription = self.subscription(session, wanted);
        let child = Arc::clone(&live.child);
        let (told, tells) = oneshot::channel();
        // A task of its own: it outlasts this request, and also a client that goes before the server has answered.
        tokio::spawn(async move {
            let over = || subscription.session.hushed(&uri, &until);
            let hears = async {
                let begun = subscription.begin(&child).await;
                // Nobody who only listens keeps a child.
                drop(child);
                match begun {
                    Ok(call) => {
                        agreed.cancel();
                        let _ = told.send(Ok(()));
                        subscription.keep(Some(call)).await;
                        over();
                    }
                    Err(why) => {
                        // Before it hears of that, or what it asks for again would be there.
                        over();
                        let _ = told.send(Err(why));
                    }
                }
            };
            until.run_until_cancelled(hears).await;
            drop(place);
        });
        tells.await.unwrap_or(Err(NotTold::Silent))
    }

    /// A session with a child of its own hears of all lists of which that tells, if it is of the stateless era.
    pub fn hear_lists_across(&self, session: &Arc<Session>) {
        let Some(live) = (session.own.as_ref()).filter(|live| live.hello.era == Era::Modern) else {
            return;
        };
        let wanted = list_changes(live);
        if wanted.is_empty() {
            return;
        }
        let child = Arc::clone(&live.child);
        let until = session.ended.clone();
        let subscription = self.subscription(session, wanted);
        tokio::spawn(async move {
            let hears = async {
                match subscription.begin(&child).await {
                    Ok(call) => subscription.keep(Some(call)).await,
                    Err(NotTold::Silent) => subscription.keep(None).await,
                    Err(NotTold::Refused(_) | NotTold::TooMany(_)) => {}
                }
            };
            until.run_until_cancelled(hears).await;
        });
    }

    fn subscription(&self, session: &Arc<Session>, wanted: Filter) -> Subscription {
        Subscription {
            house: Arc::clone(&self.house),
            session: Arc::clone(session),
            wanted,
        }
    }
}

impl Subscription {
    /// At this child, once that has acknowledged it.
    async fn begin(&self, child: &Arc<Child>) -> Result<Call, NotTold> {
        let wanted = self.wanted.acknowledged();
        let params = Object::default().with("notifications", &wanted);
        let params = self.session.to_modern(params);
        let request = Message::request(&Id::number(0), "subscriptions/listen", params);
        let begun = async {
            let mut call = child.call(request).await?;
            let first = first(&mut call).await?;
            Ok::<_, Gone>((call, first))
        };
        let (call, first) = match timeout(PATIENCE, begun).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(Gone)) | Err(_) => return Err(NotTold::Silent),
        };
        let agreed = match first {
            Heard::Note(said) => {
                (self.wanted).is_agreed(&said.message.params().unwrap_or_default())
            }
            Heard::Answer(said) if said.message.body.has("error") => {
                return Err(NotTold::Refused(said));
            }
            Heard::Answer(_) => false,
        };
        if agreed {
            return Ok(call);
        }
        let error = RpcError::new(INVALID_PARAMS, "the server does not tell of this");
        Err(NotTold::Refused(error.message(&Id::number(0)).into()))
    }

    /// For as long as the server goes on with it. What has changed while it was closed nobody knows, so all of it may have.
    async fn keep(&self, mut call: Option<Call>) {
        let mut pace = Pace::default();
        loop {
            pace.tried(call.is_some(), Instant::now());
            if let Some(call) = call {
                self.pass(call).await;
            }
            sleep(pace.pause(Instant::now())).await;
            let Some(live) = self.next().await else {
                return;
            };
            call = match self.begin(&live.child).await {
                Ok(call) => Some(call),
                Err(NotTold::Silent) => None,
                Err(NotTold::Refused(_) | NotTold::TooMany(_)) => return,
            };
            if call.is_some() {
                for (method, params) in self.wanted.all() {
                    let changed = Message::notification(method, &params);
                    self.session.standing.push(changed.into());
                }
            }
        }
    }

    /// The child that serves the session now or next. Where it is its own there is no other: the session ends with it.
    async fn next(&self) -> Option<Arc<Live>> {
        match &self.session.own {
            Some(live) => (!live.child.is_over()).then(|| Arc::clone(live)),
            None => Some(self.house.next().await),
        }
    }

    /// Passes what comes of it, until the server closes it or ends.
    async fn pass(&self, mut call: Call) {
        while let Ok(Heard::Note(said)) = call.next().await {
            let method = said.message.method().unwrap_or_default();
            if method != ACKNOWLEDGED {
                let params = without_subscription(said.message.params().unwrap_or_default());
                let note = Message::notification(method, &params);
                self.session.standing.push(note.into());
            }
        }
    }
}

/// Its first word: the acknowledgment, or the end.
async fn first(call: &mut Call) -> Result<Heard, Gone> {
    loop {
        match call.next().await? {
            Heard::Note(said) if said.message.method() != Some(ACKNOWLEDGED) => {}
            heard => return Ok(heard),
        }
    }
}
