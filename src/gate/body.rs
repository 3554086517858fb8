//! What the gate looks at in a request's body; everything else passes as it came.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::remote::Remote;

/// What one look at a JSON object tells: everything that the gate decides by, and all of the object is read for it.
///
/// Members are told apart as the most lenient engine would (Go's `encoding/json` takes any case, and `ſ` for `s`):
/// a `model` written otherwise, or twice, is refused, and `messages` count however they are written.
#[derive(Debug, PartialEq, Eq)]
pub struct Peek {
    /// The `model`, where it is there and not null.
    pub model: Option<String>,
    /// Whether a message asks for something to be fetched.
    pub remote: bool,
    /// Whether it says by how much adapters count (llama-server: `lora`), which the object says.
    pub adapters: bool,
}

impl<'de> Deserialize<'de> for Peek {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // A map, and nothing that could stand for one.
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Peek;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with at most one model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Peek, A::Error> {
        let mut model: Option<Option<String>> = None;
        let (mut remote, mut adapters) = (false, false);
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            if name == "model" {
                if model.replace(members.next_value()?).is_some() {
                    return Err(A::Error::duplicate_field("model"));
                }
                continue;
            }
            match name.to_uppercase().as_str() {
                "MODEL" => return Err(A::Error::custom("model in another case")),
                "MESSAGES" => remote |= members.next_value_seed(Remote::default())?,
                other => {
                    adapters |= other == "LORA";
                    // Engines read a value as deep as it is: the limit holds for all of them.
                    members.next_value_seed(Remote::default())?;
                }
            }
        }
        Ok(Peek {
            model: model.flatten(),
            remote,
            adapters,
        })
    }
}

/// A body that [`Peek`] has read and that names no model, with this one as its first member.
///
/// A `"model": null` stays behind it: whoever takes the last of two members leaves a text as it is for a null.
#[must_use]
pub fn with_model(body: &[u8], model: &str) -> Bytes {
    let body = body.trim_ascii_start();
    let rest = body.get(1..).unwrap_or_default();
    let name = serde_json::Value::from(model).to_string();
    let comma = if rest.trim_ascii_start().starts_with(b"}") {
        ""
    } else {
        ","
    };
    let mut named = format!("{{\"model\":{name}{comma}").into_bytes();
    named.extend_from_slice(rest);
    named.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(r#"{"model":"a"}"#, Some("a"))]
    #[case(r#" {"messages":[{"model":"b"}],"model":"a"} "#, Some("a"))]
    #[case(r#"{"mod\u0065l":"a"}"#, Some("a"))]
    #[case(r#"{"model":null}"#, None)]
    #[case(r#"{"models":"a"}"#, None)]
    #[case("{}", None)]
    fn the_model_is_found(#[case] body: &str, #[case] model: Option<&str>) {
        let peek: Peek = serde_json::from_str(body).unwrap();
        assert_eq!(peek.model.as_deref(), model);
    }

    /// Whatever its value: an empty list, or an adapter that is not there, changes what the others count.
    #[rstest::rstest]
    #[case(r#"{"lora":[{"id":0,"scale":0.0}]}"#, true)]
    #[case(r#"{"lora":[]}"#, true)]
    #[case(r#"{"lora":null}"#, true)]
    #[case(r#"{"l\u006fra":[],"model":"a"}"#, true)]
    #[case(r#"{"LoRA":[]}"#, true)]
    #[case(r#"{"messages":[{"lora":[]}],"loras":[]}"#, false)]
    #[case(r#"{"prompt":"lora"}"#, false)]
    fn adapters_are_found(#[case] body: &str, #[case] expected: bool) {
        assert_eq!(
            serde_json::from_str::<Peek>(body).unwrap().adapters,
            expected
        );
    }

    #[rstest::rstest]
    #[case::twice(r#"{"model":"a","model":"b"}"#)]
    #[case::twice_with_null(r#"{"model":null,"model":"b"}"#)]
    #[case::escaped_twice(r#"{"model":"a","mod\u0065l":"b"}"#)]
    #[case::other_case(r#"{"model":"a","Model":"b"}"#)]
    #[case::other_case_alone(r#"{"MODEL":"b"}"#)]
    #[case::number(r#"{"model":7}"#)]
    #[case::too_deep(&format!(r#"{{"messages":{}{}}}"#, "[".repeat(200), "]".repeat(200)))]
    #[case::too_deep_elsewhere(&format!(r#"{{"tools":{}{}}}"#, "[".repeat(200), "]".repeat(200)))]
    #[case::half_a_character(r#"{"messages":["\ud800",{"url":"http://a"}]}"#)]
    #[case::no_number(r#"{"messages":[1e999,{"url":"http://a"}]}"#)]
    #[case::array(r#"["a"]"#)]
    #[case::text(r#""model""#)]
    #[case::more(r#"{"model":"a"}{"model":"b"}"#)]
    #[case::half(r#"{"model":"a""#)]
    #[case::nothing("")]
    fn what_could_be_read_otherwise_is_refused(#[case] body: &str) {
        assert!(serde_json::from_str::<Peek>(body).is_err());
    }

    #[rstest::rstest]
    #[case("{}", r#"{"model":"a/b"}"#)]
    #[case(" { } ", r#"{"model":"a/b" } "#)]
    #[case(r#"{"prompt":"x"}"#, r#"{"model":"a/b","prompt":"x"}"#)]
    fn a_model_is_written_into_what_names_none(#[case] body: &str, #[case] expected: &str) {
        assert_eq!(with_model(body.as_bytes(), "a/b"), expected);
        let peek: Peek = serde_json::from_slice(&with_model(body.as_bytes(), "a/b")).unwrap();
        assert_eq!(peek.model.as_deref(), Some("a/b"));
    }
}
