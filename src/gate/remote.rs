//! Whether a request asks the engine to fetch something: pure.
//!
//! The OpenAI API lets a message name an image by URL (`image_url`), and engines fetch it. A sealed pod could not,
//! and an engine that tries must not be the one to find out.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Whether any message of the body, at any depth, has a member `url` or `…_url` that is not a `data:` URL.
///
/// Only `messages` is looked at: tools describe members of that name without fetching anything. What is no JSON
/// names nothing.
#[must_use]
pub fn is_named(body: &[u8]) -> bool {
    let mut json = serde_json::Deserializer::from_slice(body);
    Body.deserialize(&mut json).unwrap_or(false)
}

/// The body's object.
struct Body;
/// A value inside a message: true when something remote is named in it.
#[derive(Clone, Copy)]
struct Within {
    /// It is the value of a member that names a URL.
    url: bool,
}

impl<'de> DeserializeSeed<'de> for Body {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if name == "messages" {
                found |= map.next_value_seed(Within { url: false })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

impl<'de> DeserializeSeed<'de> for Within {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Within {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        let data = text
            .get(..5)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        Ok(self.url && !data)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(remote) = seq.next_element_seed(self)? {
            found |= remote;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            let url = name == "url" || name.ends_with("_url");
            found |= map.next_value_seed(Self { url })?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::object(r#"{"image_url":{"url":"http://a/b.png"}}"#, true)]
    #[case::text(r#"{"image_url":"https://a/b.png"}"#, true)]
    #[case::file(r#"{"image_url":{"url":"file:///etc/passwd"}}"#, true)]
    #[case::relative(r#"{"image_url":{"url":"//a/b.png"}}"#, true)]
    #[case::escaped(r#"{"im\u0061ge_\u0075rl":{"\u0075rl":"http://a"}}"#, true)]
    #[case::list(r#"{"image_url":["http://a"]}"#, true)]
    #[case::video(r#"{"video_url":{"url":"http://a"}}"#, true)]
    #[case::twice(r#"{"image_url":{"url":"data:,a","url":"http://a"}}"#, true)]
    #[case::space(r#"{"image_url":{"url":" http://a"}}"#, true)]
    #[case::data(r#"{"image_url":{"url":"data:image/png;base64,AA=="}}"#, false)]
    #[case::data_in_capitals(r#"{"image_url":{"url":"DATA:,a","detail":"low"}}"#, false)]
    #[case::words(r#"{"text":"see http://a/b.png"}"#, false)]
    #[case::numbers(r#"{"a":[1,-1,1.5,null,true]}"#, false)]
    fn parts_of_messages(#[case] part: &str, #[case] expected: bool) {
        let body = format!(r#"{{"messages":[{{"role":"user","content":[{part}]}}]}}"#);
        assert_eq!(is_named(body.as_bytes()), expected);
        let twice = format!(r#"{{"messages":[],"messages":[{part}]}}"#);
        assert_eq!(is_named(twice.as_bytes()), expected, "whichever counts");
    }

    #[rstest::rstest]
    #[case::tools(r#"{"tools":[{"parameters":{"url":"http://a"}}]}"#)]
    #[case::plain(r#"{"messages":[{"content":"hello"}]}"#)]
    #[case::no_object(r#"["http://a"]"#)]
    #[case::no_json("image_url")]
    fn nothing_is_named(#[case] body: &str) {
        assert!(!is_named(body.as_bytes()));
    }
}
