//! What the gate looks for in the values of a request, at any depth: pure.
//!
//! The OpenAI API lets a message name an image by URL (`image_url`), and engines fetch it. A sealed pod could not,
//! and an engine that tries must not be the one to find out.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// What was found on the walks through a request.
#[derive(Debug, Default)]
pub struct Found {
    /// A member `url` or `…_url` of a message that is not a `data:` URL.
    pub remote: bool,
    /// A value is more than it may be.
    pub over: bool,
    /// How many members are named `$ref`, as references of JSON schemas are.
    pub references: usize,
    /// A stream is asked for.
    pub streams: bool,
    /// And the tokens that it takes.
    pub asks_tokens: bool,
}

/// Which of the members that say something of a stream a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// None of them.
    Nothing,
    /// `stream`.
    Stream,
    /// `stream_options`.
    StreamOptions,
    /// `include_usage` of these options.
    IncludeUsage,
}

/// A walk through one value.
pub struct Walk<'a> {
    found: &'a mut Found,
    /// It is in a message: tools describe members named `url` without fetching anything.
    fetches: bool,
    /// It is that of a member that names a URL.
    url: bool,
    most: Most,
    says: Says,
}

/// What a value may be at most.
#[derive(Clone, Copy)]
pub struct Most {
    /// A number itself, or a text's bytes.
    pub size: usize,
    /// A list's elements that are no numbers: each may be work of its own.
    pub parts: usize,
}

impl Most {
    /// As much as the body holds.
    pub const ANYTHING: Self = Self {
        size: usize::MAX,
        parts: usize::MAX,
    };
}

impl<'a> Walk<'a> {
    /// Through the messages, where URLs are looked for.
    pub fn messages(found: &'a mut Found) -> Self {
        Self {
            fetches: true,
            ..Self::value(found, Most::ANYTHING)
        }
    }

    /// Through any other value.
    pub fn value(found: &'a mut Found, most: Most) -> Self {
        Self {
            found,
            fetches: false,
            url: false,
            most,
            says: Says::Nothing,
        }
    }

    /// The value is that member's.
    pub fn saying(self, says: Says) -> Self {
        Self { says, ..self }
    }

    fn within(&mut self, url: bool) -> Walk<'_> {
        Walk {
            found: self.found,
            fetches: self.fetches,
            url,
            most: Most::ANYTHING,
            says: Says::Nothing,
        }
    }

    fn measure(&mut self, size: usize) {
        self.found.over |= size > self.most.size;
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    /// Whether it is a number.
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        // No options at all; of a switch, null says nothing.
        self.found.asks_tokens &= self.says != Says::StreamOptions;
        Ok(false)
    }

    fn visit_bool<E>(self, on: bool) -> Result<bool, E> {
        match self.says {
            Says::Stream => self.found.streams = on,
            Says::IncludeUsage => self.found.asks_tokens = on,
            Says::Nothing | Says::StreamOptions => {}
        }
        Ok(false)
    }

    fn visit_i64<E>(mut self, number: i64) -> Result<bool, E> {
        // Below zero: what is not is visited as u64. -1 says "all"; what is less wraps around in an engine.
        if number < -1 {
            self.measure(usize::MAX);
        }
        Ok(true)
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<bool, E> {
        self.measure(usize::try_from(number).unwrap_or(usize::MAX));
        Ok(true)
    }

    fn visit_f64<E>(mut self, number: f64) -> Result<bool, E> {
        let beyond = number < -1.0;
        // An engine that wants an integer cuts 1e9 to one; what is larger than the largest counts as that.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates"
        )]
        self.measure(if beyond { usize::MAX } else { number as usize });
        Ok(true)
    }

    fn visit_str<E>(mut self, text: &str) -> Result<bool, E> {
        let data = text
            .get(..5)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        self.found.remote |= self.fetches && self.url && !data;
        self.measure(text.len());
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<bool, A::Error> {
        let (url, mut parts) = (self.url, 0);
        while let Some(number) = seq.next_element_seed(self.within(url))? {
            parts += usize::from(!number);
        }
        self.found.over |= parts > self.most.parts;
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            let end = name.as_bytes().last_chunk::<4>();
            let url = name.eq_ignore_ascii_case("url")
                || end.is_some_and(|end| end.eq_ignore_ascii_case(b"_url"));
            self.found.references += usize::from(name == "$ref");
            let says = match self.says {
                Says::StreamOptions if name.to_uppercase() == "INCLUDE_USAGE" => Says::IncludeUsage,
                _ => Says::Nothing,
            };
            map.next_value_seed(self.within(url).saying(says))?;
        }
        Ok(false)
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
