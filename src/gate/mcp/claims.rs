//! What a request of the stateless era says twice: in header fields and in its body. Pure.
//!
//! 2026-07-28, Streamable HTTP, Request Metadata and Server Validation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;

use super::answers::Denied;
use crate::mcp::error::{HEADER_MISMATCH, INVALID_PARAMS};
use crate::mcp::params::{Annotated, shown};
use crate::mcp::translate::{CAPABILITIES, VERSION};
use crate::mcp::{Object, RpcError, Version, method};

/// A header field whose value may be written in base64.
const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// Checks a request; gives the capabilities that its client has.
///
/// # Errors
/// 400, with the number of what is wrong.
pub fn check(
    headers: &HeaderMap,
    version: Option<Version>,
    called: &str,
    params: &Object,
) -> Result<Object, Denied> {
    let meta = params.object("_meta").unwrap_or_default();
    let invalid = |what: &str| {
        let error = RpcError::new(INVALID_PARAMS, format!("_meta has no {what}"));
        Denied::rpc(StatusCode::BAD_REQUEST, error)
    };
    let said = meta.text(VERSION).ok_or_else(|| invalid(VERSION))?;
    let version = version.ok_or_else(|| mismatch("MCP-Protocol-Version is missing"))?;
    if version.as_str() != said {
        return Err(mismatch("MCP-Protocol-Version is not what the body says"));
    }
    let capabilities = meta
        .object(CAPABILITIES)
        .ok_or_else(|| invalid(CAPABILITIES))?;
    if field(headers, "mcp-method")?.as_deref() != Some(called) {
        return Err(mismatch("Mcp-Method is missing or not what the body says"));
    }
    if let Some(member) = method::names(called) {
        let name = params.text(member);
        if field(headers, "mcp-name")? != name {
            return Err(mismatch("Mcp-Name is missing or not what the body says"));
        }
    }
    Ok(capabilities)
}

/// Checks the fields that a tool's schema asks for.
///
/// # Errors
/// 400.
pub fn check_params(
    headers: &HeaderMap,
    annotated: &[Annotated],
    params: &Object,
) -> Result<(), Denied> {
    for one in annotated {
        let arguments = params.get("arguments").map_or("{}", RawValue::get);
        let wanted = one
            .value(arguments)
            .map_err(|why| mismatch(&why.to_string()))?;
        let name = format!("mcp-param-{}", one.header.to_ascii_lowercase());
        let sent = field(headers, &name)?;
        let fine = match (&wanted, &sent) {
            (None, None) => true,
            (Some(value), Some(sent)) => shown(value, sent),
            _ => false,
        };
        if !fine {
            return Err(mismatch(
                "an Mcp-Param field is missing or not what the body says",
            ));
        }
    }
    Ok(())
}

/// The error for what is said in two ways.
fn mismatch(text: &str) -> Denied {
    let error = RpcError::new(HEADER_MISMATCH, format!("Header mismatch: {text}"));
    Denied::rpc(StatusCode::BAD_REQUEST, error)
}

/// A field's value, out of base64 where it is so written.
fn field(headers: &HeaderMap, name: &str) -> Result<Option<String>, Denied> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let bad = || mismatch("a field has characters that it must not have");
    if values.next().is_some() {
        return Err(mismatch("a field comes twice"));
    }
    let text = value.to_str().map_err(|_| bad())?;
    let coded = text
        .strip_prefix(SENTINEL.0)
        .and_then(|rest| rest.strip_suffix(SENTINEL.1));
    let Some(coded) = coded else {
        return Ok(Some(text.to_owned()));
    };
    let bytes = STANDARD.decode(coded).map_err(|_| bad())?;
    String::from_utf8(bytes).map(Some).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: &str = r#"{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}"#;

    fn checked(fields: &[(&'static str, &str)], params: &str) -> Option<i64> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let version = headers
            .get("mcp-protocol-version")
            .and_then(|v| v.to_str().ok());
        let version = version.and_then(Version::parse);
        let params = Object::parse(params.as_bytes()).unwrap();
        check(&headers, version, "tools/call", &params)
            .err()
            .map(|denied| denied.code())
    }

    const VERSION_FIELD: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
    const METHOD: (&str, &str) = ("mcp-method", "tools/call");
    const NAME: (&str, &str) = ("mcp-name", "a");

    #[rstest::rstest]
    #[case::fine(&[VERSION_FIELD, METHOD, NAME], None)]
    #[case::base64(&[VERSION_FIELD, METHOD, ("mcp-name", "=?base64?YQ==?=")], None)]
    #[case::no_version(&[METHOD, NAME], Some(-32020))]
    #[case::other_version(&[("mcp-protocol-version", "2025-11-25"), METHOD, NAME], Some(-32020))]
    #[case::no_method(&[VERSION_FIELD, NAME], Some(-32020))]
    #[case::other_method(&[VERSION_FIELD, ("mcp-method", "tools/list"), NAME], Some(-32020))]
    #[case::case_counts(&[VERSION_FIELD, ("mcp-method", "Tools/call"), NAME], Some(-32020))]
    #[case::no_name(&[VERSION_FIELD, METHOD], Some(-32020))]
    #[case::other_name(&[VERSION_FIELD, METHOD, ("mcp-name", "b")], Some(-32020))]
    #[case::two_names(&[VERSION_FIELD, METHOD, NAME, ("mcp-name", "b")], Some(-32020))]
    #[case::no_base64(&[VERSION_FIELD, METHOD, ("mcp-name", "=?base64?!?=")], Some(-32020))]
    fn fields_say_what_the_body_says(
        #[case] fields: &[(&'static str, &str)],
        #[case] code: Option<i64>,
    ) {
        assert_eq!(checked(fields, PARAMS), code);
    }

    #[rstest::rstest]
    #[case::no_meta(r#"{"name":"a"}"#)]
    #[case::no_capabilities(
        r#"{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#
    )]
    fn what_must_be_there_is(#[case] params: &str) {
        assert_eq!(
            checked(&[VERSION_FIELD, METHOD, NAME], params),
            Some(-32602)
        );
    }
}
