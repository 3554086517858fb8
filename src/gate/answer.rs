//! Answers in the shape that OpenAI clients read.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::json;

/// An error of a body that is on its way.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// The body of every answer.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// A word for programs.
    pub code: String,
    /// A sentence for people; nothing of the request is in it.
    pub message: String,
    /// Seconds after which a retry is worth it.
    pub retry_after: Option<u32>,
    /// The connection is closed after the answer.
    pub close: bool,
    /// Of a 401: the request had a bearer token, and `message` says what is wrong with it.
    pub invalid_token: bool,
}

impl Refusal {
    /// With the connection kept and no retry.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            retry_after: None,
            close: false,
            invalid_token: false,
        }
    }

    /// With a retry after `seconds`.
    #[must_use]
    pub fn retry(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// With the connection closed.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// With the error `invalid_token` of RFC 6750, section 3.1.
    #[must_use]
    pub fn invalid_token(mut self) -> Self {
        self.invalid_token = true;
        self
    }

    /// The seal does not hold, with the reason as the condition `Sealed` names it.
    #[must_use]
    pub fn not_sealed(reason: &str) -> Self {
        let message = format!("the model is shut: its pod is not proven sealed ({reason})");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason, message)
            .retry(5)
            .close()
    }

    /// The body: an error as the OpenAI API writes it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "server_error",
        };
        json!({"error": {"message": self.message, "type": kind, "code": self.code}})
    }

    /// As HTTP.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let mut response = json_response(self.status, &self.to_json());
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = challenge(self.invalid_token.then_some(&self.message));
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The field `WWW-Authenticate` (RFC 6750, section 3).
fn challenge(wrong: Option<&String>) -> HeaderValue {
    let plain = HeaderValue::from_static("Bearer realm=\"sealroom\"");
    let quotable = |c: char| matches!(c, ' '..='~') && !['"', '\\'].contains(&c);
    wrong
        .filter(|wrong| wrong.chars().all(quotable))
        .and_then(|wrong| {
            let text = format!(
                "Bearer realm=\"sealroom\", error=\"invalid_token\", error_description=\"{wrong}\""
            );
            text.try_into().ok()
        })
        .unwrap_or(plain)
}

/// `value` as JSON.
#[must_use]
pub fn json_response(status: StatusCode, value: &impl serde::Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).unwrap_or_default();
    response(status, "application/json", text)
}

/// A line of text.
#[must_use]
pub fn text_response(status: StatusCode, text: &str) -> Response<Body> {
    response(
        status,
        "text/plain; charset=utf-8",
        format!("{text}\n").into_bytes(),
    )
}

/// A whole body of a known type.
#[must_use]
pub fn response(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A body that is all there.
#[must_use]
pub fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}
