//! Numbers in an answer that tell what the engine had read before the request came: set to 0 on their way out.
//!
//! llama-server computes from the longest beginning that a prompt shares with what a slot holds, whoever sent that, and
//! says how long it was (`tools/server/server-task.cpp`: `usage` and `timings`). Who reads it can find another caller's
//! prompt out, guess by guess. Numbers of which that one can be computed go with it.

use bytes::{Bytes, BytesMut};

/// The members whose numbers tell it, in whatever object they stand.
const TELLING: [&[u8]; 6] = [
    b"cached_tokens",
    b"cache_n",
    b"prompt_n",
    // How long the reading took. `prompt_n` is the quotient of the first two.
    b"prompt_ms",
    b"prompt_per_token_ms",
    b"prompt_per_second",
];
/// The longest of their names.
const LONGEST: usize = 19;

/// Looks through one answer's bytes, however they come in pieces.
///
/// No byte is added, taken away or held back: a number becomes a 0 and spaces. Text that a model wrote stands in JSON
/// strings, where a quotation mark carries a backslash: it is never taken for a member's name.
#[derive(Debug, Default)]
pub struct Counts {
    /// What has come since the last quotation mark, as far as a name can be.
    name: Vec<u8>,
    at: At,
}

/// Where in the text the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Anywhere.
    #[default]
    Text,
    /// Behind one of the names.
    Named,
    /// Behind the colon.
    Value,
    /// In the number.
    Number,
}

impl Counts {
    /// The next piece, with 0 for what tells.
    #[must_use]
    pub fn blank(&mut self, piece: Bytes) -> Bytes {
        let mut blanked: Option<BytesMut> = None;
        for (index, byte) in piece.iter().copied().enumerate() {
            let instead = self.next(byte);
            if let Some(instead) = instead.filter(|instead| *instead != byte) {
                // Most pieces have none, and pass as they are.
                let copy = blanked.get_or_insert_with(|| BytesMut::from(&piece[..]));
                copy[index] = instead;
            }
        }
        blanked.map_or(piece, BytesMut::freeze)
    }

    /// What passes in the place of this byte, if it is another one.
    fn next(&mut self, byte: u8) -> Option<u8> {
        match (self.at, byte) {
            (At::Value, b'-' | b'0'..=b'9') => {
                self.at = At::Number;
                return Some(b'0');
            }
            (At::Number, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') => return Some(b' '),
            (At::Named | At::Value, b' ' | b'\t' | b'\r' | b'\n') => return None,
            (At::Named, b':') => self.at = At::Value,
            (_, b'"') => {
                let tells = TELLING.contains(&self.name.as_slice());
                self.at = if tells { At::Named } else { At::Text };
                self.name.clear();
            }
            (_, _) => {
                self.at = At::Text;
                // One byte more than the longest is no name, however it goes on.
                if self.name.len() <= LONGEST {
                    self.name.push(byte);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanked(pieces: &[&str]) -> String {
        let mut counts = Counts::default();
        let each = pieces.iter().map(|piece| {
            let blanked = counts.blank(Bytes::copy_from_slice(piece.as_bytes()));
            String::from_utf8(blanked.to_vec()).unwrap()
        });
        each.collect()
    }

    #[rstest::rstest]
    #[case::usage(
        r#"{"usage":{"prompt_tokens":912,"prompt_tokens_details":{"cached_tokens":907}}}"#,
        r#"{"usage":{"prompt_tokens":912,"prompt_tokens_details":{"cached_tokens":0  }}}"#
    )]
    #[case::timings(
        r#""timings":{"cache_n":12,"prompt_n":4,"prompt_ms":1.5e1,"prompt_per_token_ms":0.375,"prompt_per_second":266.7,"predicted_n":2,"predicted_ms":3.5}"#,
        r#""timings":{"cache_n":0 ,"prompt_n":0,"prompt_ms":0    ,"prompt_per_token_ms":0    ,"prompt_per_second":0    ,"predicted_n":2,"predicted_ms":3.5}"#
    )]
    #[case::written_widely("\"cache_n\" : \n 17 }", "\"cache_n\" : \n 0  }")]
    #[case::below_zero(r#"{"cache_n":-1}"#, r#"{"cache_n":0 }"#)]
    #[case::nothing_there(r#"{"cache_n":null,"n":5}"#, r#"{"cache_n":null,"n":5}"#)]
    #[case::another_member(r#"{"cache_nn":5,"ncache_n":5}"#, r#"{"cache_nn":5,"ncache_n":5}"#)]
    #[case::said_by_the_model(
        r#"{"text":"\"cache_n\":5, \"cached_tokens\": 7"}"#,
        r#"{"text":"\"cache_n\":5, \"cached_tokens\": 7"}"#
    )]
    #[case::a_text_of_that_name(r#"["cache_n",5]"#, r#"["cache_n",5]"#)]
    #[case::a_text_that_ends_so(r#"{"a":"\"cache_n","b":5}"#, r#"{"a":"\"cache_n","b":5}"#)]
    fn what_tells_becomes_nothing(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(blanked(&[text]), expected);
        let each: Vec<String> = text.chars().map(String::from).collect();
        let each: Vec<&str> = each.iter().map(String::as_str).collect();
        assert_eq!(blanked(&each), expected, "byte by byte");
    }

    #[test]
    fn what_tells_nothing_is_not_copied() {
        let piece = Bytes::from_static(br#"data: {"choices":[{"delta":{"content":"Paris"}}]}"#);
        let passed = Counts::default().blank(piece.clone());
        assert_eq!(passed.as_ptr(), piece.as_ptr());
    }

    #[test]
    fn no_name_is_longer_than_what_is_kept() {
        assert_eq!(TELLING.iter().map(|name| name.len()).max(), Some(LONGEST));
        let mut counts = Counts::default();
        let _ = counts.blank(vec![b'x'; 100_000].into());
        assert!(counts.name.len() <= LONGEST + 1);
    }
}
