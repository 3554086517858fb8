//! The head of a JSON-RPC 2.0 message: what it is, and whose.

use serde::Serialize;
use serde_json::value::RawValue;

use super::depth;
use super::id::Id;
use super::object::{Object, is_disguised};

/// What the gate reads of a message.
const HEAD: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
/// What the methods of all notifications begin with.
const NOTIFICATION: &str = "notifications/";
/// The method by which a request is given up.
pub const CANCELLED: &str = "notifications/cancelled";

/// The method by which a server logs.
pub const LOG: &str = "notifications/message";

/// The method by which a server tells that its tools changed.
pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
/// Longest name of a method in bytes.
const MAX_METHOD: usize = 256;

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It asks for an answer.
    Request {
        /// Which the answer carries.
        id: Id,
        /// What is asked.
        method: String,
    },
    /// It asks for none.
    Notification {
        /// What happened.
        method: String,
    },
    /// It answers.
    Response {
        /// The request's.
        id: Id,
    },
}

/// Why something is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No JSON.
    #[error("the text is no JSON")]
    NoJson,
    /// Nested too deep.
    #[error("the text is nested deeper than {}", depth::MAX)]
    TooDeep,
    /// No object, or one in which a name comes twice.
    #[error("the message is no JSON object in which every name comes once")]
    NoObject,
    /// No message of JSON-RPC.
    #[error("the object is no message of JSON-RPC 2.0 with an id that is a string or a number")]
    NoMessage,
}

/// A message: its head is read, and everything else is kept as it came.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// All of it.
    pub body: Object,
}

impl Message {
    /// Reads one.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        if !depth::within(text, depth::MAX) {
            return Err(Malformed::TooDeep);
        }
        let body = Object::parse(text).map_err(|_| {
            let json = serde_json::from_slice::<&RawValue>(text).is_ok();
            if json {
                Malformed::NoObject
            } else {
                Malformed::NoJson
            }
        })?;
        // A server that takes any case would find a method where the gate finds none.
        if body.members().any(|(name, _)| is_disguised(name, &HEAD)) {
            return Err(Malformed::NoMessage);
        }
        let kind = Self::kind(&body).ok_or(Malformed::NoMessage)?;
        Ok(Self { kind, body })
    }

    /// Reads what a client sends. A request without an id would be none to the gate, and could be one to the server.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn of_client(text: &[u8]) -> Result<Self, Malformed> {
        let message = Self::parse(text)?;
        match &message.kind {
            Kind::Notification { method } if !method.starts_with(NOTIFICATION) => {
                Err(Malformed::NoMessage)
            }
            _ => Ok(message),
        }
    }

    fn kind(body: &Object) -> Option<Kind> {
        if body.text("jsonrpc").as_deref() != Some("2.0") {
            return None;
        }
        let id = match body.get("id") {
            None => None,
            Some(raw) => Some(Id::parse(raw)?),
        };
        let answers = (body.has("result"), body.has("error"));
        match (body.get("method"), id, answers) {
            (Some(_), id, (false, false)) => {
                let method = body
                    .text("method")
                    .filter(|name| name.len() <= MAX_METHOD)?;
                Some(match id {
                    Some(id) => Kind::Request { id, method },
                    None => Kind::Notification { method },
                })
            }
            (None, Some(id), (true, false) | (false, true)) => Some(Kind::Response { id }),
            _ => None,
        }
    }

    /// A request.
    #[must_use]
    pub fn request(id: &Id, method: &str, params: Object) -> Self {
        let body = head()
            .with("id", id)
            .with("method", method)
            .with("params", &params);
        let (id, method) = (id.clone(), method.to_owned());
        Self {
            kind: Kind::Request { id, method },
            body,
        }
    }

    /// A notification.
    #[must_use]
    pub fn notification(method: &str, params: &Object) -> Self {
        let body = head().with("method", method).with("params", params);
        Self {
            kind: Kind::Notification {
                method: method.to_owned(),
            },
            body,
        }
    }

    /// An answer.
    #[must_use]
    pub fn result(id: &Id, result: &impl Serialize) -> Self {
        let body = head().with("id", id).with("result", result);
        Self {
            kind: Kind::Response { id: id.clone() },
            body,
        }
    }

    /// With another id.
    #[must_use]
    pub fn with_id(mut self, new: &Id) -> Self {
        self.body.put("id", new);
        match &mut self.kind {
            Kind::Request { id, .. } | Kind::Response { id } => *id = new.clone(),
            Kind::Notification { .. } => {}
        }
        self
    }

    /// The method, of what is no answer.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request { method, .. } | Kind::Notification { method } => Some(method),
            Kind::Response { .. } => None,
        }
    }

    /// The parameters; none at all are an empty object.
    ///
    /// # Errors
    /// They are no object.
    pub fn params(&self) -> Result<Object, Malformed> {
        match self.body.get("params") {
            None => Ok(Object::default()),
            Some(_) => self.body.object("params").ok_or(Malformed::NoObject),
        }
    }

    /// The code of the error that this answer is.
    #[must_use]
    pub fn error_code(&self) -> Option<i64> {
        self.body.object("error")?.read("code")
    }

    /// The request that this gives up, of what has the method [`CANCELLED`].
    #[must_use]
    pub fn cancelled(&self) -> Option<Id> {
        self.params().ok()?.get("requestId").and_then(Id::parse)
    }

    /// As one line without its end.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        self.body.to_line()
    }
}

fn head() -> Object {
    Object::default().with("jsonrpc", "2.0")
}

/// Whether every reader finds the same `_meta`, and in it the same progress token: also one that takes the last of two
/// members, or any case.
#[must_use]
pub fn is_meta_plain(params: &Object) -> bool {
    let hides = |object: &Object, known| {
        let mut members = object.members();
        members.any(|(name, _)| is_disguised(name, &[known]))
    };
    let Some(meta) = params.get("_meta") else {
        return !hides(params, "_meta");
    };
    let meta = Object::parse(meta.get().as_bytes());
    meta.is_ok_and(|meta| !hides(&meta, "progressToken"))
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
