//! What clients of a server that speaks HTTP send passes the same front, and what it answers is filtered.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::answers::{Denied, json};
use super::budget::{self, Growing, Share};
use super::claims;
use super::due::{Due, until};
use super::entrance::Held;
use super::fields::{given, there};
use super::front::Front;
use super::guests::Guest;
use super::head;
use super::http::{Http, is_stream};
use super::legacy::no_session;
use super::passed::{Passed, Watched};
use super::replies::Reply;
use crate::gate::answer::{BodyError, Refusal, whole};
use crate::gate::audit::{Outcome, Told};
use crate::mcp::{Kind, Message};

/// For the head of what is no answer to a call.
const PATIENCE: Duration = Duration::from_secs(60);

impl Front {
    /// What a client of such a server sends.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn through(
        &self,
        http: &Arc<Http>,
        method: Method,
        headers: &HeaderMap,
        message: Option<&Message>,
        guest: &Guest,
        held: Option<Held>,
    ) -> Result<Reply, Denied> {
        self.ready()?;
        let fields = there(headers, message.is_some())?;
        if let Some(message) = message {
            let annotated = |name: &str| self.house.known.annotated(name);
            claims::check_present(&fields, message, annotated)?;
        }
        // Until its answer is read: a session that is in use is not idle.
        let in_use = head::session(&fields).and_then(|one| http.uses(one, guest));
        if fields.contains_key(head::SESSION) && in_use.is_none() {
            return Err(no_session());
        }
        let named = head::session(&fields).map(ToOwned::to_owned);
        let leaves = method == Method::DELETE;
        let id = message.and_then(|message| match &message.kind {
            Kind::Request { id, .. } => Some(id.clone()),
            Kind::Notification { .. } | Kind::Response { .. } => None,
        });
        let patience = id.as_ref().map_or(PATIENCE, |_| self.answer_limit);
        let end = Instant::now() + patience;
        let call = id.map(|id| Due {
            id,
            end,
            fields: head::of_session(&fields),
            http: Arc::clone(http),
            answered: Arc::default(),
        });
        let body = message
            .map(|message| message.to_line().into())
            .unwrap_or_default();
        let answer = match timeout_at(end, http.send(method, fields, body, patience)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if Instant::now() < end => {
                tracing::warn!(%error, "the server");
                return Err(broken(
                    "the server gave no answer; a call may have been carried out",
                ));
            }
            Ok(Err(_)) | Err(_) => return too_slow(call.as_ref()),
        };
        let (head, body) = answer.response.into_parts();
        if head.status.is_informational() || head.status.is_redirection() {
            return Err(broken("the server leads elsewhere"));
        }
        let succeeds = head.status.is_success();
        if let Some(session) = named.as_deref().filter(|_| leaves && succeeds) {
            http.ended(session);
        }
        let begins =
            |session: &str| !succeeds || http.begins(session, guest, self.guests.are_several());
        if !is_its_own(named.as_deref(), &head.headers, begins) {
            return Err(broken(
                "the server gave a session that cannot be its client's",
            ));
        }
        let shown = self.shown.clone();
        let growing = Growing::new(Arc::clone(&self.house.limits.budget));
        if is_stream(&head.headers) {
            let told = Told::default();
            let watched = Watched {
                told: Arc::clone(&told),
                call: (call.as_ref()).map(|due| (due.id.clone(), Arc::clone(&due.answered))),
            };
            let passed = Passed::new(http.longest, shown, growing, watched);
            // A subscription has no end of its own, and would hold a drain up.
            let listens = message.and_then(Message::method) == Some("subscriptions/listen");
            let (held, call) = if listens { (None, None) } else { (held, call) };
            // A caller that is let in no longer reads no more.
            let stay = self.guests.stay(&guest.pass);
            let data = body.into_data_stream().map_err(BodyError::from);
            let data = data.take_until(async move { stay.over().await });
            let body = until(data, passed, (held, answer.driver, in_use), call);
            return Ok(Reply::Passing(given(&head, body), told));
        }
        let Ok(read) = timeout_at(end, read(body, http.longest, growing)).await else {
            return too_slow(call.as_ref());
        };
        let (text, share) = read?;
        let mut error = None;
        let body = match Message::parse(&text) {
            Ok(message) => {
                let message = shown.answer(message);
                error = message.error_code();
                whole(budget::held(message.to_line(), share))
            }
            Err(_) if text.is_empty() || !head.status.is_success() => {
                whole(budget::held(text, share))
            }
            Err(_) => return Err(broken("the server's answer is no message")),
        };
        Ok(Reply::Whole(given(&head, body), error))
    }
}

/// Whether the session of an answer can be that of its request. One that the request named may be over by now, or its
/// caller have shown something newer, so it does not begin once more.
fn is_its_own(named: Option<&str>, answer: &HeaderMap, begins: impl FnOnce(&str) -> bool) -> bool {
    let Some(session) = answer.get(head::SESSION) else {
        return true;
    };
    let fits = |session: &str| named.map_or_else(|| begins(session), |named| named == session);
    session.to_str().is_ok_and(fits)
}

/// The whole of an answer, with its share of the memory.
async fn read(
    mut body: Incoming,
    longest: usize,
    mut growing: Growing,
) -> Result<(Vec<u8>, Option<Share>), Denied> {
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| broken("the server's answer broke off"))?;
        let data = frame.into_data().unwrap_or_default();
        if text.len() + data.len() > longest {
            return Err(broken("the server's answer is too long"));
        }
        if !growing.to(text.len() + data.len()) {
            return Err(broken("there is no memory for the server's answer"));
        }
        text.extend_from_slice(&data);
    }
    Ok((text, growing.into_share()))
}

fn broken(text: &str) -> Denied {
    let refusal = Refusal::new(StatusCode::BAD_GATEWAY, "server_error", text);
    Denied::from(refusal).because(Outcome::UpstreamError)
}

/// The answer to a call that took too long.
fn too_slow(call: Option<&Due>) -> Result<Reply, Denied> {
    let Some(call) = call else {
        return Err(broken("the server gave no answer in time"));
    };
    let message = call.over();
    let error = message.error_code();
    Ok(Reply::Whole(
        json(StatusCode::OK, message.to_line().into()),
        error,
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[rstest::rstest]
    #[case::none_in_none(None, None, (true, false))]
    #[case::it_begins(None, Some("s"), (true, true))]
    #[case::it_goes_on_or_has_ended(Some("s"), Some("s"), (true, false))]
    #[case::another_one(Some("s"), Some("t"), (false, false))]
    fn a_session_begins_only_with_an_answer_to_what_named_none(
        #[case] named: Option<&str>,
        #[case] given: Option<&'static str>,
        #[case] expected: (bool, bool),
    ) {
        let mut answer = HeaderMap::new();
        if let Some(given) = given {
            answer.insert(head::SESSION, HeaderValue::from_static(given));
        }
        let mut begun = false;
        let fits = is_its_own(named, &answer, |_| {
            begun = true;
            true
        });
        assert_eq!((fits, begun), expected);
    }
}
