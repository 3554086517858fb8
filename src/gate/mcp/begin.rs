//! How a session of the legacy era begins: with a child of its own, or as one more of those who share one.

use std::sync::Arc;

use http::StatusCode;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::answers::{Denied, agreed, json, not_there, unavailable, with_session};
use super::attend::attend;
use super::call::Said;
use super::child::Child;
use super::front::{Asked, Front};
use super::hello::{self, Hello, PATIENCE};
use super::house::{Isolation, NoChild};
use super::live::Live;
use super::places::{NoPlace, Place, UNUSED, Whose};
use super::replies::Reply;
use super::session::Session;
use super::sessions::{Begins, NoRoom};
use super::unheard::Unheard;
use crate::gate::audit::Outcome;
use crate::mcp::error::INVALID_PARAMS;
use crate::mcp::translate::{ClientSaid, initialize_result};
use crate::mcp::{Askable, CANCELLED, Era, Id, Kind, Message, Object, RpcError, Version};

/// Most bytes that a client says of itself: each session keeps them, so all of them together keep 16 MiB.
const MAX_SAID: usize = 4 * 1024;

/// A child for one session, or what it said instead of a hello.
type Own = Result<(Arc<Live>, mpsc::Receiver<Said>), Said>;

impl Front {
    /// `initialize`.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn initialize(self: &Arc<Self>, asked: Asked, id: &Id) -> Result<Reply, Denied> {
        self.ready()?;
        let has_others = self.guests.are_several();
        let caller = asked.guest.identity.as_str();
        let begins = Begins { caller, has_others };
        self.sessions.has_room(begins).map_err(too_many)?;
        let params = asked.message.params().unwrap_or_default();
        let said = ClientSaid::of(&params);
        if said.bytes() > MAX_SAID {
            let error = RpcError::new(INVALID_PARAMS, "the client says too much of itself");
            return Err(Denied::rpc(StatusCode::OK, error));
        }
        let (own, loose, result) = match self.house.config.isolation {
            Isolation::Shared => (None, None, self.shared(&asked.message)?),
            Isolation::PerSession => match self.own(&asked.message, begins).await? {
                Ok((live, loose)) => {
                    let version = agreed(params.text("protocolVersion"));
                    let result = match live.hello.era {
                        Era::Legacy => live.hello.result.clone(),
                        Era::Modern => hello_of(&live, version),
                    };
                    (Some(live), Some(loose), result)
                }
                Err(said) => {
                    let answer = said.message;
                    let text = answer.to_line().into();
                    return Ok(Reply::Whole(
                        json(StatusCode::OK, text),
                        answer.error_code(),
                    ));
                }
            },
        };
        let version = agreed(result.text("protocolVersion"));
        let session = Arc::new(Session::new(
            asked.guest,
            version,
            own,
            said,
            Arc::clone(&self.house.limits.budget),
        ));
        let added = self.sessions.add(&session, has_others);
        added.map_err(too_many)?;
        self.hear_lists_across(&session);
        if let Some(loose) = loose {
            self.hear(&session, loose);
        }
        let answer = Message::result(id, &result).to_line();
        let response = json(StatusCode::OK, answer.into());
        Ok(Reply::Whole(with_session(response, &session.id), None))
    }

    /// What the session's own child says beside answers goes to its client.
    fn hear(&self, session: &Arc<Session>, loose: mpsc::Receiver<Said>) {
        let Some(live) = &session.own else { return };
        let hears = Arc::downgrade(session);
        let hears = move |live: &Arc<Live>, said: Said| {
            let Some(session) = hears.upgrade() else {
                return;
            };
            match said.message.kind.clone() {
                Kind::Request { id, method } => {
                    if !live.child.asks(&id) {
                        return live.child.refuse(&id, &method);
                    }
                    let child = Arc::downgrade(&live.child);
                    let unheard = Unheard::new(move || {
                        if let Some(child) = child.upgrade().filter(|child| child.answered(&id)) {
                            child.refuse(&id, &method);
                        }
                    });
                    session.hears(said, Some(unheard));
                }
                Kind::Notification { method } if method == CANCELLED => {
                    // It waits for no answer any more.
                    if let Some(id) = said.message.cancelled() {
                        live.child.answered(&id);
                    }
                    session.hears(said, None);
                }
                _ => session.hears(said, None),
            }
        };
        let house = Arc::clone(&self.house);
        tokio::spawn(attend(Arc::downgrade(live), loose, house, hears));
    }

    /// What the shared child said, in the revision that the client asks for.
    fn shared(&self, message: &Message) -> Result<Object, Denied> {
        let live = self.house.own().ok_or_else(not_there)?;
        let version = agreed(message.params().unwrap_or_default().text("protocolVersion"));
        Ok(hello_of(&live, version))
    }

    /// A child that hears the client's own `initialize`.
    async fn own(&self, initialize: &Message, begins: Begins<'_>) -> Result<Own, Denied> {
        let Begins { caller, has_others } = begins;
        let own = |whose: &str| whose == caller;
        let make_room = |why| {
            self.sessions.make_room(UNUSED, own)
                || self.stateless.make_room(own)
                || why == NoPlace::Full
                    && (self.sessions.make_room(UNUSED, |_| true)
                        || self.stateless.make_room(|_| true))
        };
        let whose = Whose {
            caller,
            has_others,
            session: true,
        };
        let place = self.house.places.take_soon(whose, make_room).await;
        let place = place.map_err(|why| no_child(why.into()))?;
        let connected = self.house.connect(Some(&place)).await;
        let (child, loose) = connected.map_err(no_child)?;
        if self.house.known.era() == Some((Era::Modern, false)) {
            let hello = hello::greet(&child, Some(Era::Modern), &Askable::default()).await;
            let hello = hello.map_err(|why| no_child(why.into()))?;
            return self.inspected(child, hello, place, loose).await;
        }
        let gone = |gone| no_child(NoChild::from(gone));
        let mut call = child.call(initialize.clone()).await.map_err(gone)?;
        let said = timeout(PATIENCE, call.answer()).await;
        let said = said
            .map_err(|_| no_child(hello::NoHello::Slow.into()))?
            .map_err(gone)?;
        let Ok(hello) = hello::legacy(&said.message) else {
            return Ok(Err(said));
        };
        let initialized = Message::notification("notifications/initialized", &Object::default());
        child.say(&initialized).await.map_err(gone)?;
        self.inspected(child, hello, place, loose).await
    }

    /// A child whose tools are looked at before anybody uses it.
    async fn inspected(
        &self,
        child: Arc<Child>,
        hello: Hello,
        place: Place,
        loose: mpsc::Receiver<Said>,
    ) -> Result<Own, Denied> {
        let live = Arc::new(Live {
            child,
            hello,
            place: Some(place),
        });
        if self.house.known.is_pinned() {
            self.house.inspect(&live).await.map_err(no_child)?;
        }
        Ok(Ok((live, loose)))
    }
}

/// What a child said, in the revision that the client asks for.
fn hello_of(live: &Live, version: Version) -> Object {
    match live.hello.era {
        Era::Legacy => {
            let result = live.hello.result.clone();
            result.with("protocolVersion", version.as_str())
        }
        Era::Modern => initialize_result(&live.hello.result, version),
    }
}

fn too_many(why: NoRoom) -> Denied {
    unavailable("TooManySessions", &why.to_string()).into()
}

/// Why there is no child, without the server's own words.
pub fn no_child(why: NoChild) -> Denied {
    tracing::warn!(%why, "a client has no child");
    let (code, message, outcome) = match why {
        NoChild::NoPlace(why) => ("TooManyChildren", why.to_string(), Outcome::Refused),
        NoChild::Drift => {
            let message = "the server's tools are not the pinned ones".to_owned();
            ("ToolsDrift", message, Outcome::Refused)
        }
        NoChild::Bridge(_) | NoChild::Hello(_) | NoChild::Unlisted => {
            let message = "the server could not be started".to_owned();
            ("NotReady", message, Outcome::UpstreamError)
        }
    };
    Denied::from(unavailable(code, &message)).because(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::of_all(NoPlace::Full)]
    #[case::of_one_caller(NoPlace::OfCaller)]
    fn who_has_no_place_is_refused_until_later(#[case] why: NoPlace) {
        let denied = no_child(why.into());
        assert_eq!(denied.outcome(), Outcome::Refused);
        let response = denied.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
    }
}
