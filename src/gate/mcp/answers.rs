//! Answers in the shape that MCP clients read: JSON-RPC, also where the gate refuses.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::gate::answer::{Body, Refusal, response, whole};
use crate::gate::audit::Outcome;
use crate::mcp::error::{INTERNAL, INVALID_REQUEST, NO_METHOD, PARSE, REFUSED};
use crate::mcp::{Era, Id, Malformed, Message, RpcError, Version};

/// A request that gets an error of the gate's own.
#[derive(Clone, Debug)]
pub struct Denied(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    refusal: Refusal,
    error: RpcError,
    id: Option<Id>,
    outcome: Outcome,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        let error = RpcError::new(REFUSED, refusal.message.clone());
        let error = error.with(json!({"reason": refusal.code}));
        Self::of(refusal, error)
    }
}

impl Denied {
    fn of(refusal: Refusal, error: RpcError) -> Self {
        Self(Box::new(Parts {
            refusal,
            error,
            id: None,
            outcome: Outcome::Refused,
        }))
    }

    /// With an error that MCP numbers.
    #[must_use]
    pub fn rpc(status: StatusCode, error: RpcError) -> Self {
        Self::of(Refusal::new(status, "", error.message.clone()), error)
    }

    /// To the request of that id.
    #[must_use]
    pub fn to(mut self, id: &Id) -> Self {
        self.0.id = Some(id.clone());
        self
    }

    /// Not for want of anything that the client could mend.
    #[must_use]
    pub fn because(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.refusal.status
    }

    /// For the audit.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The number of the error.
    #[must_use]
    pub fn code(&self) -> i64 {
        self.0.error.code
    }

    /// As HTTP: the fields of the refusal, and a JSON-RPC error as the body. A 405 says what the endpoint takes (RFC 9110,
    /// section 15.5.6).
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let text = self.0.error.answer(self.0.id.as_ref()).to_line();
        let mut response = self.0.refusal.into_response();
        *response.body_mut() = whole(text);
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let all = HeaderValue::from_static("GET, POST, DELETE");
            response.headers_mut().insert(header::ALLOW, all);
        }
        response
    }
}

/// A whole answer.
#[must_use]
pub fn json(status: StatusCode, text: Bytes) -> Response<Body> {
    let mut answer = response(status, "application/json", Vec::new());
    *answer.body_mut() = whole(text);
    answer
}

/// What asks for no answer was taken.
#[must_use]
pub fn accepted() -> Response<Body> {
    let mut answer = Response::new(whole(""));
    *answer.status_mut() = StatusCode::ACCEPTED;
    answer
}

/// A stream of events.
#[must_use]
pub fn events(body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, "text/event-stream");
    set(header::CACHE_CONTROL, "no-cache, no-transform");
    set(header::HeaderName::from_static("x-accel-buffering"), "no");
    answer
}

/// To a server that asks a client what none can be asked.
#[must_use]
pub fn to_server(id: &Id, method: &str) -> Message {
    let error = match method {
        "ping" => return Message::result(id, &json!({})),
        _ => RpcError::new(NO_METHOD, "no client can be asked this here"),
    };
    error.message(id)
}

/// With the session's id in its head.
#[must_use]
pub fn with_session(mut response: Response<Body>, id: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert("mcp-session-id", value);
    }
    response
}

/// The revision of a request of a session.
#[must_use]
pub fn agreed(asked: Option<String>) -> Version {
    let known = asked.and_then(|text| Version::parse(&text));
    let legacy = known.filter(|version| version.era() == Era::Legacy);
    legacy.unwrap_or_else(Version::latest_legacy)
}

/// 405.
#[must_use]
pub fn not_allowed() -> Denied {
    let message = "the endpoint takes POST, and GET and DELETE with a session";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", message).into()
}

/// What is no message is told so.
#[must_use]
pub fn malformed(why: Malformed) -> Denied {
    let code = match why {
        Malformed::NoJson | Malformed::TooDeep => PARSE,
        Malformed::NoObject | Malformed::NoMessage => INVALID_REQUEST,
    };
    Denied::rpc(
        StatusCode::BAD_REQUEST,
        RpcError::new(code, why.to_string()),
    )
}

/// The server has no child now.
#[must_use]
pub fn not_there() -> Denied {
    unavailable("NotReady", "the server does not answer now").into()
}

/// The server or its pod cannot do it now.
#[must_use]
pub fn unavailable(code: &str, message: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
        .retry(2)
        .close()
}

/// The pod ends.
#[must_use]
pub fn draining() -> Refusal {
    unavailable("Draining", "the pod is ending")
}

/// The server ended, or took too long, with this call under way: nobody knows how far it got, so it is not tried again.
#[must_use]
pub fn failed(id: &Id, outcome: Outcome) -> Message {
    let text = match outcome {
        Outcome::Timeout => "the server took too long; the call may have been carried out",
        _ => "the server ended during the call, which may have been carried out",
    };
    RpcError::new(INTERNAL, text).message(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_use_a_method_is_told_which() {
        let response = not_allowed().into_response();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "GET, POST, DELETE");
        let other = not_there().into_response();
        assert!(!other.headers().contains_key(header::ALLOW));
    }
}
