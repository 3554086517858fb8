//! Errors as JSON-RPC and MCP number them.

use serde_json::{Value, json};

use super::id::Id;
use super::message::{Kind, Message};
use super::object::Object;

/// An error that the gate itself answers.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    /// The number.
    pub code: i64,
    /// A sentence for people; nothing of the request is in it.
    pub message: String,
    /// For programs.
    pub data: Option<Value>,
}

/// The text is no JSON.
pub const PARSE: i64 = -32_700;
/// The object is no message.
pub const INVALID_REQUEST: i64 = -32_600;
/// There is no such method.
pub const NO_METHOD: i64 = -32_601;
/// The parameters are wrong.
pub const INVALID_PARAMS: i64 = -32_602;
/// The server failed.
pub const INTERNAL: i64 = -32_603;
/// The gate does not serve this now, or not to this caller (implementation-defined by the specification's policy).
pub const REFUSED: i64 = -32_000;
/// There is no such session; the number that official servers use.
pub const NO_SESSION: i64 = -32_001;
/// A resource was not found, until 2025-11-25.
pub const NO_RESOURCE: i64 = -32_002;
/// Header fields and body differ (2026-07-28).
pub const HEADER_MISMATCH: i64 = -32_020;
/// The client lacks a capability (2026-07-28).
pub const MISSING_CAPABILITY: i64 = -32_021;
/// The version is not spoken here (2026-07-28).
pub const UNSUPPORTED_VERSION: i64 = -32_022;

impl RpcError {
    /// Without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// With data.
    #[must_use]
    pub fn with(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// As the answer to a request; `None` where its id is not known.
    #[must_use]
    pub fn answer(&self, id: Option<&Id>) -> Object {
        let mut error = json!({"code": self.code, "message": self.message});
        if let (Some(data), Some(error)) = (&self.data, error.as_object_mut()) {
            error.insert("data".to_owned(), data.clone());
        }
        let body = Object::default().with("jsonrpc", "2.0");
        let body = match id {
            Some(id) => body.with("id", id),
            None => body.with("id", &Value::Null),
        };
        body.with("error", &error)
    }

    /// The same as a message.
    #[must_use]
    pub fn message(&self, id: &Id) -> Message {
        Message {
            kind: Kind::Response { id: id.clone() },
            body: self.answer(Some(id)),
        }
    }
}
