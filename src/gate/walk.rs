//! Whether a request asks the engine to fetch something: pure.
//!
//! The OpenAI API lets a message name an image by URL (`image_url`), and engines fetch it. A sealed pod could not,
//! and an engine that tries must not be the one to find out.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Whether a value has, at any depth, a member `url` or `…_url` that is not a `data:` URL.
///
/// It is meant for `messages`: tools describe members of that name without fetching anything.
#[derive(Clone, Copy, Default)]
pub struct Remote {
    /// The value is that of a member that names a URL.
    url: bool,
}

impl<'de> DeserializeSeed<'de> for Remote {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Remote {
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
            let end = name.as_bytes().last_chunk::<4>();
            let url = name.eq_ignore_ascii_case("url")
                || end.is_some_and(|end| end.eq_ignore_ascii_case(b"_url"));
            found |= map.next_value_seed(Self { url })?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use crate::gate::body::Peek;

    fn remote(body: &str) -> bool {
        serde_json::from_str::<Peek>(body).unwrap().remote
    }

    #[rstest::rstest]
    #[case::object(r#"{"image_url":{"url":"http://a/b.png"}}"#, true)]
    #[case::text(r#"{"image_url":"https://a/b.png"}"#, true)]
    #[case::file(r#"{"image_url":{"url":"file:///etc/passwd"}}"#, true)]
    #[case::relative(r#"{"image_url":{"url":"//a/b.png"}}"#, true)]
    #[case::escaped(r#"{"im\u0061ge_\u0075rl":{"\u0075rl":"http://a"}}"#, true)]
    #[case::list(r#"{"image_url":["http://a"]}"#, true)]
    #[case::capitals(r#"{"Image_URL":{"Url":"http://a"}}"#, true)]
    #[case::video(r#"{"video_url":{"url":"http://a"}}"#, true)]
    #[case::twice(r#"{"image_url":{"url":"data:,a","url":"http://a"}}"#, true)]
    #[case::space(r#"{"image_url":{"url":" http://a"}}"#, true)]
    #[case::data(r#"{"image_url":{"url":"data:image/png;base64,AA=="}}"#, false)]
    #[case::data_in_capitals(r#"{"image_url":{"url":"DATA:,a","detail":"low"}}"#, false)]
    #[case::words(r#"{"text":"see http://a/b.png"}"#, false)]
    #[case::numbers(r#"{"a":[1,-1,1.5,null,true]}"#, false)]
    fn parts_of_messages(#[case] part: &str, #[case] expected: bool) {
        let body = format!(r#"{{"messages":[{{"role":"user","content":[{part}]}}]}}"#);
        assert_eq!(remote(&body), expected);
        let twice = format!(r#"{{"messages":[],"messages":[{part}]}}"#);
        assert_eq!(remote(&twice), expected, "whichever counts");
        let lenient = format!(r#"{{"Meſſages":[{part}]}}"#);
        assert_eq!(remote(&lenient), expected, "as Go reads it");
    }

    #[rstest::rstest]
    #[case::tools(r#"{"tools":[{"parameters":{"url":"http://a"}}]}"#)]
    #[case::plain(r#"{"messages":[{"content":"hello"}]}"#)]
    fn nothing_is_named(#[case] body: &str) {
        assert!(!remote(body));
    }
}
