//! What the header fields of a request say: pure.

use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::json;

use super::answers::Denied;
use crate::gate::answer::Refusal;
use crate::mcp::error::UNSUPPORTED_VERSION;
use crate::mcp::{RpcError, Version};

/// The revision that the client speaks.
const VERSION: &str = "mcp-protocol-version";
/// The session.
pub const SESSION: &str = "mcp-session-id";
/// The last event of a stream that broke.
const LAST_EVENT: &str = "last-event-id";
/// The media type of a stream of events.
const EVENTS: &str = "text/event-stream";
/// The media type of a whole answer.
const JSON: &str = "application/json";

/// What a client can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// A whole answer.
    pub json: bool,
    /// A stream of events.
    pub events: bool,
}

/// Reads `Accept` (RFC 9110, section 12.5.1), as far as it names what the gate can send.
#[must_use]
pub fn accepts(headers: &HeaderMap) -> Accepts {
    let mut any = false;
    let mut found = Accepts {
        json: false,
        events: false,
    };
    for value in headers.get_all(header::ACCEPT) {
        any = true;
        for range in value.to_str().unwrap_or_default().split(',') {
            let kind = range
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            found.json |= matches!(kind.as_str(), "*/*" | "application/*" | JSON);
            found.events |= matches!(kind.as_str(), "*/*" | "text/*" | EVENTS);
        }
    }
    if any {
        return found;
    }
    Accepts {
        json: true,
        events: true,
    }
}

/// Whether the body says that it is JSON. A browser sends such a request to another origin only after it has asked.
///
/// # Errors
/// 415.
pub fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    if kind.trim().eq_ignore_ascii_case(JSON) {
        return Ok(());
    }
    let message = "the body's content-type must be application/json";
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(Refusal::new(status, "content_type", message))
}

/// The revision in the header field, if there is one.
///
/// # Errors
/// 400 with the revisions that are spoken here.
pub fn version(headers: &HeaderMap) -> Result<Option<Version>, Denied> {
    let Some(value) = headers.get(VERSION) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    Version::parse(text)
        .map(Some)
        .ok_or_else(|| unsupported(text))
}

/// The error for a revision that is not spoken here.
#[must_use]
pub fn unsupported(requested: &str) -> Denied {
    let requested: String = requested.chars().take(32).collect();
    let data = json!({"supported": Version::all(), "requested": requested});
    let error = RpcError::new(UNSUPPORTED_VERSION, "Unsupported protocol version").with(data);
    Denied::rpc(StatusCode::BAD_REQUEST, error)
}

/// A field that must be plain text.
#[must_use]
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The session that the request names.
#[must_use]
pub fn session(headers: &HeaderMap) -> Option<&str> {
    text(headers, SESSION)
}

/// The fields by which a request is one of its session.
#[must_use]
pub fn of_session(headers: &HeaderMap) -> HeaderMap {
    let field = |name| Some((HeaderName::from_static(name), headers.get(name)?.clone()));
    [VERSION, SESSION].into_iter().filter_map(field).collect()
}

/// The stream and the event after which a client wants to go on.
#[must_use]
pub fn last_event(headers: &HeaderMap) -> Option<(u64, u64)> {
    let (stream, number) = text(headers, LAST_EVENT)?.split_once('-')?;
    Some((stream.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[rstest::rstest]
    #[case("application/json, text/event-stream", true, true)]
    #[case("text/event-stream", false, true)]
    #[case("application/json;q=0.9", true, false)]
    #[case("*/*", true, true)]
    #[case("text/html", false, false)]
    fn what_is_accepted(#[case] value: &str, #[case] json: bool, #[case] events: bool) {
        assert_eq!(accepts(&headers("accept", value)), Accepts { json, events });
    }

    #[rstest::rstest]
    #[case("application/json", true)]
    #[case("Application/JSON; charset=utf-8", true)]
    #[case("text/plain", false)]
    #[case("application/jsonp", false)]
    fn bodies_are_json(#[case] value: &str, #[case] fine: bool) {
        assert_eq!(is_json(&headers("content-type", value)).is_ok(), fine);
        assert!(is_json(&HeaderMap::new()).is_err());
    }

    #[rstest::rstest]
    #[case("3-17", Some((3, 17)))]
    #[case("3", None)]
    #[case("a-b", None)]
    fn where_to_go_on(#[case] value: &str, #[case] expected: Option<(u64, u64)>) {
        assert_eq!(last_event(&headers("last-event-id", value)), expected);
    }

    #[test]
    fn a_version_is_one_of_ours() {
        let old = headers("mcp-protocol-version", "2025-06-18");
        assert_eq!(version(&old).unwrap().unwrap().as_str(), "2025-06-18");
        let new = headers("mcp-protocol-version", "2027-01-01");
        assert_eq!(version(&new).unwrap_err().code(), UNSUPPORTED_VERSION);
        assert!(version(&HeaderMap::new()).unwrap().is_none());
    }
}
