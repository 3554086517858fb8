//! What a request says twice: in header fields and in its body. Pure.
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
use crate::mcp::{Message, Object, RpcError, Version, method};

/// A header field whose value may be written in base64.
const SENTINEL: (&str, &str) = ("=?base64?", "?=");
/// Members of parameters that name what a request is about.
const NAMES: [&str; 3] = ["name", "uri", "taskId"];

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
        let sent = field(headers, &one.field())?;
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

/// Checks the fields that a request to a server of its own has: that server may look at them where the gate has looked at
/// the body. Which of them must be there it says itself.
///
/// # Errors
/// 400 where one comes twice or is not what the body says.
pub fn check_present(
    headers: &HeaderMap,
    message: &Message,
    annotated: impl FnOnce(&str) -> Vec<Annotated>,
) -> Result<(), Denied> {
    let called = message.method();
    let params = message.params().unwrap_or_default();
    let sent = field(headers, "mcp-method")?;
    if sent.is_some() && sent.as_deref() != called {
        return Err(mismatch("Mcp-Method is not what the body says"));
    }
    if let Some(sent) = field(headers, "mcp-name")? {
        // Of methods that are not known here one of these is named.
        let named = called.and_then(method::names);
        let members = named.map_or(NAMES.to_vec(), |member| vec![member]);
        let same = |member: &&str| params.text(member).as_ref() == Some(&sent);
        if !members.iter().any(same) {
            return Err(mismatch("Mcp-Name is not what the body says"));
        }
    }
    let meta = params.object("_meta").unwrap_or_default();
    if let (Some(sent), true) = (field(headers, "mcp-protocol-version")?, meta.has(VERSION))
        && meta.text(VERSION) != Some(sent)
    {
        return Err(mismatch("MCP-Protocol-Version is not what the body says"));
    }
    let tool = params.text("name").filter(|_| called == Some("tools/call"));
    let mut annotated = tool.map(|name| annotated(&name)).unwrap_or_default();
    annotated.retain(|one| headers.contains_key(one.field()));
    check_params(headers, &annotated, &params)
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
#[path = "claims_tests.rs"]
mod tests;
