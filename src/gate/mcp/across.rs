//! A client of the legacy era and a server of the stateless one: what the client said once is said with each request,
//! and what the server asks by `input_required` is asked in the session.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::answers::failed;
use super::budget::Share;
use super::call::Said;
use super::calls::Hears;
use super::entrance::Held;
use super::live::Live;
use super::open::Open;
use super::pump::{Pump, Shape};
use super::session::Session;
use super::unheard::Unheard;
use crate::gate::audit::Outcome;
use crate::mcp::error::INTERNAL;
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
            let patience = left().min(PATIENCE);
            let answers = match ask(&self.session, &self.open, &questions, patience).await? {
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
}

/// Asks the client, and waits for all answers as long as that; `None` where it gave the call up.
async fn ask(
    session: &Session,
    open: &Open,
    questions: &Object,
    patience: Duration,
) -> Option<Result<Object, RpcError>> {
    let end = Instant::now() + patience;
    let error = |text: &str| Some(Err(RpcError::new(INTERNAL, text)));
    // One of them went before the client had read it.
    let unheard = CancellationToken::new();
    let mut waits = Vec::new();
    for (key, raw) in questions.members().take(MAX_QUESTIONS) {
        let Ok(question) = Object::parse(raw.get().as_bytes()) else {
            return error("the server asks what is no request");
        };
        let method = question.text("method").unwrap_or_default();
        let params = question.object("params").unwrap_or_default();
        let (id, answer) = session.asks();
        let question = Message::request(&id, &method, params);
        let lost = unheard.clone();
        let lost = Unheard::new(move || lost.cancel());
        open.outbox.ask(question.into(), lost);
        waits.push((key, answer));
    }
    let mut answers = Object::default();
    for (key, answer) in waits {
        let answer = tokio::select! {
            answer = timeout_at(end, answer) => answer,
            () = open.cancel.cancelled() => return None,
            () = unheard.cancelled() => return error("the client did not read what the server asked"),
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::timeout;

    use super::*;
    use crate::gate::mcp::outbox::CALL;

    #[tokio::test]
    async fn a_question_that_goes_unread_ends_the_call_at_once() {
        let session = Session::sample();
        let open = session.open(&Id::number(1)).unwrap();
        let question = json!({"method": "roots/list"});
        let questions = Object::default().with("where", &question);
        let asks = ask(&session, &open, &questions, PATIENCE);
        let goes = async {
            for _ in 0..CALL.events {
                let note = Message::notification("a", &Object::default());
                open.outbox.push(note.into());
            }
        };
        let both = async { tokio::join!(asks, goes) };
        let asked = timeout(Duration::from_secs(5), both).await;
        let (asked, ()) = asked.expect("it waits for its client");
        assert!(asked.unwrap().is_err());
    }
}
