//! The head of a JSON-RPC 2.0 message: what it is, and whose.

use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::depth;
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
/// Longest id in bytes.
const MAX_ID: usize = 256;
/// Longest name of a method in bytes.
const MAX_METHOD: usize = 256;

/// The id of a request, as the text that was sent: a string or a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id(String);

impl Id {
    /// Reads an id; `None` where it is too long, or neither a string nor a number.
    #[must_use]
    pub fn parse(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        let first = text.bytes().next()?;
        let kind = matches!(first, b'"' | b'-' | b'0'..=b'9');
        (kind && text.len() <= MAX_ID).then(|| Self(text.to_owned()))
    }

    /// Of the gate's own numbers.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self(number.to_string())
    }

    /// A text of the gate's own.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string())
    }

    /// The number, where it can be one of the gate's own.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(to)
    }
}

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
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::none("{}", true)]
    #[case::plain(r#"{"_meta":{"progressToken":1}}"#, true)]
    #[case::twice(r#"{"_meta":{"progressToken":1,"progressToken":7}}"#, false)]
    #[case::any_case(r#"{"_meta":{"ProgressToken":7}}"#, false)]
    #[case::another_meta(r#"{"_Meta":{"progressToken":7}}"#, false)]
    #[case::no_object(r#"{"_meta":7}"#, false)]
    fn a_progress_token_has_one_place(#[case] params: &str, #[case] plain: bool) {
        assert_eq!(
            is_meta_plain(&Object::parse(params.as_bytes()).unwrap()),
            plain
        );
    }

    fn request(id: &str, method: &str) -> Kind {
        Kind::Request {
            id: Id(id.to_owned()),
            method: method.to_owned(),
        }
    }

    #[rstest::rstest]
    #[case(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, request("1", "ping"))]
    #[case(
        r#"{"method":"a","id":"\u0031","jsonrpc":"2.0"}"#,
        request("\"\\u0031\"", "a")
    )]
    #[case(r#"{"jsonrpc":"2.0","method":"a"}"#, Kind::Notification { method: "a".to_owned() })]
    #[case(r#"{"jsonrpc":"2.0","id":-4,"result":null}"#, Kind::Response { id: Id("-4".to_owned()) })]
    #[case(r#"{"jsonrpc":"2.0","id":4,"error":{}}"#, Kind::Response { id: Id("4".to_owned()) })]
    fn heads_are_read(#[case] text: &str, #[case] kind: Kind) {
        assert_eq!(Message::parse(text.as_bytes()).unwrap().kind, kind);
    }

    #[rstest::rstest]
    #[case::no_json("{", Malformed::NoJson)]
    #[case::batch(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, Malformed::NoObject)]
    #[case::two_methods(
        r#"{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}"#,
        Malformed::NoObject
    )]
    #[case::old(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Malformed::NoMessage)]
    #[case::no_id(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Malformed::NoMessage)]
    #[case::odd_id(r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, Malformed::NoMessage)]
    #[case::both(
        r#"{"jsonrpc":"2.0","id":1,"method":"a","result":1}"#,
        Malformed::NoMessage
    )]
    #[case::result_and_error(
        r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
        Malformed::NoMessage
    )]
    #[case::number(r#"{"jsonrpc":"2.0","id":1,"method":7}"#, Malformed::NoMessage)]
    #[case::nothing(r#"{"jsonrpc":"2.0","id":1}"#, Malformed::NoMessage)]
    #[case::disguised(
        r#"{"jsonrpc":"2.0","id":1,"result":{},"Method":"tools/call"}"#,
        Malformed::NoMessage
    )]
    #[case::call_without_id(r#"{"jsonrpc":"2.0","method":"tools/call"}"#, Malformed::NoMessage)]
    #[case::deep(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{}{}}}"#, "[".repeat(200), "]".repeat(200)), Malformed::TooDeep)]
    fn everything_else_is_refused(#[case] text: &str, #[case] why: Malformed) {
        assert_eq!(Message::of_client(text.as_bytes()).map(|_| ()), Err(why));
    }

    #[test]
    fn an_id_goes_back_as_it_came() {
        let text = r#"{"jsonrpc":"2.0","id":"a\"b","method":"ping","x":[1]}"#;
        let message = Message::parse(text.as_bytes()).unwrap();
        let Kind::Request { id, .. } = message.kind.clone() else {
            panic!()
        };
        let there = message.with_id(&Id::number(7));
        assert_eq!(
            there.to_line(),
            br#"{"jsonrpc":"2.0","id":7,"method":"ping","x":[1]}"#
        );
        let answer = Message::result(&Id::number(7), &1).with_id(&id);
        assert_eq!(
            answer.to_line(),
            br#"{"jsonrpc":"2.0","id":"a\"b","result":1}"#
        );
    }
}
