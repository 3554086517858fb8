//! The header fields that pass a server that speaks HTTP, to it and back: pure.

use http::{HeaderMap, HeaderName, Response, StatusCode, header, response};

use super::answers::Denied;
use crate::gate::answer::Body;
use crate::mcp::RpcError;
use crate::mcp::error::INVALID_REQUEST;

/// Of a client's header fields these pass beside `Accept`.
const THERE: [&str; 3] = ["mcp-protocol-version", "mcp-session-id", "last-event-id"];
/// These pass with a body, since they repeat what it says; and those that begin with [`PARAM`].
const OF_BODY: [&str; 2] = ["mcp-method", "mcp-name"];
/// What tools may ask to be repeated.
const PARAM: &str = "mcp-param-";
/// Of a server's header fields these pass.
const BACK: [&str; 4] = [
    "content-type",
    "cache-control",
    "mcp-session-id",
    "x-accel-buffering",
];

/// A client's header fields, as far as they pass. One that comes twice is refused: the gate and the server could each
/// look at another one.
///
/// # Errors
/// 400.
pub fn there(headers: &HeaderMap, has_body: bool) -> Result<HeaderMap, Denied> {
    let mut fields = HeaderMap::new();
    for accept in headers.get_all(header::ACCEPT) {
        fields.append(header::ACCEPT, accept.clone());
    }
    for (name, value) in headers {
        let name_of = name.as_str();
        let repeats = OF_BODY.contains(&name_of) || name_of.starts_with(PARAM);
        if !(THERE.contains(&name_of) || repeats && has_body) {
            continue;
        }
        if fields.insert(name.clone(), value.clone()).is_some() {
            let error = RpcError::new(INVALID_REQUEST, "a header field of MCP comes twice");
            return Err(Denied::rpc(StatusCode::BAD_REQUEST, error));
        }
    }
    Ok(fields)
}

/// The answer with the header fields that pass.
#[must_use]
pub fn given(head: &response::Parts, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    for name in BACK {
        if let Some(value) = head.headers.get(name) {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_mcp_pass_once() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "application/json"),
            ("accept", "text/event-stream"),
            ("authorization", "Bearer secret"),
            ("cookie", "a=b"),
            ("mcp-session-id", "one"),
            ("mcp-param-region", "eu"),
            ("mcp-name", "a"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let fields = there(&headers, true).unwrap();
        assert_eq!(fields.len(), 5);
        assert_eq!(fields.get_all("accept").iter().count(), 2);
        assert_eq!(fields["mcp-session-id"], "one");
        let bare = there(&headers, false).unwrap();
        assert_eq!(bare.len(), 3, "what repeats a body is nothing without one");
        headers.append("mcp-session-id", "another".parse().unwrap());
        assert_eq!(there(&headers, true).unwrap_err().status(), 400);
    }
}
