//! A client of the legacy era and a server of the stateless one: what the client said once is said with each request,
//! and what the server asks by `input_required` is asked in the session.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::answers::failed;
use super::budget::Share;
use super::call::{Heard, Said};
use super::calls::Hears;
use super::entrance::Held;
use super::front::Front;
use super::live::Live;
use super::open::Open;
use super::outbox::Outbox;
use super::pump::{Pump, Shape};
use super::session::Session;
use super::subscribed::TooMany;
use super::telling::NotTold;
use crate::gate::audit::Outcome;
use crate::mcp::error::INTERNAL;
use crate::mcp::filter::{ACKNOWLEDGED, RESOURCES};
use crate::mcp::translate::without_subscription;
use crate::mcp::{Id, Message, Object, RpcError};

/// How often one call may ask its client.
const MAX_ROUNDS: usize = 16;
/// Questions of one round.
const MAX_QUESTIONS: usize = 16;
/// For a client, and the person in front of it, to answer.
const PATIENCE: Duration = Duration::from_secs(600);

/// A call that goes across.
pub struct Across {
    /// Whose it is.
    pub session: Arc<Session>,
    /// The child.
    pub live: Arc<Live>,
    /// Its place in the session.
    pub open: Arc<Open>,
    /// The client's id.
    pub id: Id,
    /// What is asked.
    pub method: String,
    /// With these, as the client sent them.
    pub params: Object,
    /// For the whole call.
    pub limit: Duration,
    /// What becomes of the answer.
    pub shape: Shape,
    /// Held until the end.
    pub held: (Held, Share),
}

impl Across {
    /// To its end.
    pub async fn run(self) {
        let last = self.rounds().await;
        if let Some(last) = last {
            self.open.outbox.finish(last);
        } else {
            self.open.outbox.close();
        }
        self.session.over(&self.id);
    }

    /// The answer; `None` where the client gave it up.
    async fn rounds(&self) -> Option<Said> {
        let broken = || Some(failed(&self.id, Outcome::UpstreamError).into());
        let end = Instant::now() + self.limit;
        let left = || end.saturating_duration_since(Instant::now());
        let base = self.session.to_modern(self.params.clone());
        let mut params = base.clone();
        for _ in 0..MAX_ROUNDS {
            let request = Message::request(&self.id, &self.method, params);
            let Ok(call) = self.live.child.ask(request, None, Hears::Log).await else {
                return broken();
            };
            let pump = Pump {
                outbox: Arc::clone(&self.open.outbox),
                cancel: self.open.cancel.clone(),
                id: self.id.clone(),
                limit: Some(left()),
                shape: Box::new(|said| said),
                held: Box::new(()),
            };
            let said = pump.relay(call).await?;
            let result = said.message.body.object("result").unwrap_or_default();
            if result.text("resultType").as_deref() != Some("input_required") {
                return Some((self.shape)(said));
            }
            let questions = result.object("inputRequests").unwrap_or_default();
            let answers = match self.ask(&questions, left().min(PATIENCE)).await? {
                Ok(answers) => answers,
                Err(error) => return Some(error.message(&self.id).into()),
            };
            params = base.clone().with("inputResponses", &answers);
            if let Some(state) = result.get("requestState") {
                params.set("requestState", state.to_owned());
            }
        }
        let error = RpcError::new(INTERNAL, "the server asks without end");
        Some(error.message(&self.id).into())
    }

    /// Asks the client, and waits for all answers as long as that; `None` where it gave the call up.
    async fn ask(
        &self,
        questions: &Object,
        patience: Duration,
    ) -> Option<Result<Object, RpcError>> {
        let end = Instant::now() + patience;
        let error = |text: &str| Some(Err(RpcError::new(INTERNAL, text)));
        let mut waits = Vec::new();
        for (key, raw) in questions.members().take(MAX_QUESTIONS) {
            let Ok(question) = Object::parse(raw.get().as_bytes()) else {
                return error("the server asks what is no request");
            };
            let method = question.text("method").unwrap_or_default();
            let params = question.object("params").unwrap_or_default();
            let (id, answer) = self.session.asks();
            let question = Message::request(&id, &method, params);
            self.open.outbox.push(question.into());
            waits.push((key, answer));
        }
        let mut answers = Object::default();
        for (key, answer) in waits {
            let answer = tokio::select! {
                answer = timeout_at(end, answer) => answer,
                () = self.open.cancel.cancelled() => return None,
            };
            let Ok(Ok(answer)) = answer else {
                return error("the client did not answer what the server asked");
            };
            match answer.body.get("result") {
                Some(result) => answers.set(key, result.to_owned()),
                None => return error("the client refused what the server asked"),
            }
        }
        Some(Ok(answers))
    }
}

impl Front {
    /// A session wants to hear of a resource: a subscription of its own at the server, until it ends or says that it no
    /// longer does.
    ///
    /// # Errors
    /// [`NotTold::TooMany`].
    pub fn subscribe_across(
        &self,
        session: &Arc<Session>,
        live: &Arc<Live>,
        uri: String,
    ) -> Result<(), NotTold> {
        let places = Arc::clone(&self.house.subscriptions);
        let place = places.try_acquire_owned();
        let place = place.map_err(|_| NotTold::TooMany(TooMany))?;
        let until = session.subscribe(uri.clone());
        let Some(until) = until.map_err(NotTold::TooMany)? else {
            return Ok(());
        };
        let (session, live) = (Arc::clone(session), Arc::clone(live));
        tokio::spawn(async move {
            let wanted = Object::default().with(RESOURCES, &json!([uri]));
            listen(&session, live, wanted, &until).await;
            drop(place);
            session.hushed(&uri, &until);
        });
        Ok(())
    }
}

/// All list changes that the server can tell.
#[must_use]
pub fn list_changes(live: &Live) -> Object {
    let capabilities = live.hello.result.object("capabilities").unwrap_or_default();
    let kinds = [
        ("tools", "toolsListChanged"),
        ("prompts", "promptsListChanged"),
        ("resources", "resourcesListChanged"),
    ];
    kinds
        .into_iter()
        .fold(Object::default(), |wanted, (kind, name)| {
            let kind = capabilities.object(kind).unwrap_or_default();
            match kind.read("listChanged") {
                Some(true) => wanted.with(name, &true),
                _ => wanted,
            }
        })
}

/// Keeps a subscription at the server until then, and passes what comes of it.
pub async fn listen(session: &Session, live: Arc<Live>, wanted: Object, until: &CancellationToken) {
    let standing: Arc<Outbox> = Arc::clone(&session.standing);
    let params = session.to_modern(Object::default().with("notifications", &wanted));
    let request = Message::request(&Id::number(0), "subscriptions/listen", params);
    let Ok(mut call) = live.child.call(request).await else {
        return;
    };
    loop {
        let heard = tokio::select! {
            heard = call.next() => heard,
            () = until.cancelled() => return,
        };
        let Ok(Heard::Note(said)) = heard else { return };
        let Some(method) = said.message.method().map(str::to_owned) else {
            continue;
        };
        if method != ACKNOWLEDGED {
            let params = without_subscription(said.message.params().unwrap_or_default());
            standing.push(Message::notification(&method, &params).into());
        }
    }
}
