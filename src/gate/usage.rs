//! How many tokens an answer took, read from its ends as it passes; nothing is held back for it.
//!
//! Sources: the OpenAI API's `usage`, in the last part of an answer or in the last event of a stream that asked
//! for it, and before the vectors or ranks where llama-server writes it first; llama-server's `timings`, which its
//! streams end with in any case (`tools/server/README.md`). Where an engine's streams have none unasked, the gate asks, and
//! [`Unasked`] keeps that from the client.

use std::ops::Range;

use serde::Deserialize;

mod unasked;

pub use unasked::Unasked;

/// Of either end. The engines write both into the first or the last few hundred bytes, before `data: [DONE]`.
const KEPT: usize = 4 * 1024;

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read.
    pub prompt: u64,
    /// Written.
    pub completion: u64,
}

/// Beginning and end of an answer.
#[derive(Debug, Default)]
pub struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
}

#[derive(Deserialize)]
struct OpenAi {
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct Timings {
    #[serde(default)]
    cache_n: u64,
    prompt_n: u64,
    predicted_n: u64,
}

impl Ends {
    /// More of the answer has passed: how many events of a stream have ended with it, as both engines write them.
    pub fn push(&mut self, data: &[u8]) -> u64 {
        let mut last = self.tail.last().copied();
        let mut events = 0;
        for byte in data.iter().copied() {
            events += u64::from(byte == b'\n' && last == Some(b'\n'));
            last = Some(byte);
        }
        let room = KEPT - self.head.len();
        self.head.extend_from_slice(&data[..data.len().min(room)]);
        let data = &data[data.len().saturating_sub(KEPT)..];
        let surplus = (self.tail.len() + data.len()).saturating_sub(KEPT);
        self.tail.drain(..surplus);
        self.tail.extend_from_slice(data);
        events
    }

    /// Whether a client that reads events has read a whole one last (WHATWG HTML, section 9.2.6).
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        let end = &self.tail;
        end.is_empty() || end.ends_with(b"\n\n") || end.ends_with(b"\r\n\r\n")
    }

    /// What the answer says that it took; `None` when it does not.
    ///
    /// Text that a model wrote stands in JSON strings, where a quotation mark carries a backslash: it is never
    /// taken for a member's name.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        // Timings that stand first are those of a stream's first event: not of all of it.
        usage(&self.tail)
            .or_else(|| timings(&self.tail))
            .or_else(|| usage(&self.head))
    }
}

fn usage(text: &[u8]) -> Option<Usage> {
    said(text).map(|(usage, _)| usage)
}

/// The last `usage`, and where the member stands.
fn said(text: &[u8]) -> Option<(Usage, Range<usize>)> {
    let (usage, at) = last::<OpenAi>(text, b"\"usage\":")?;
    let usage = Usage {
        prompt: usage.prompt_tokens,
        completion: usage.completion_tokens,
    };
    Some((usage, at))
}

fn timings(text: &[u8]) -> Option<Usage> {
    last::<Timings>(text, b"\"timings\":").map(|(timings, _)| Usage {
        prompt: timings.cache_n.saturating_add(timings.prompt_n),
        completion: timings.predicted_n,
    })
}

/// The value after the last `member` that is one, and where both stand; `"usage":null` stands in all events but the last.
fn last<'a, T: Deserialize<'a>>(text: &'a [u8], member: &[u8]) -> Option<(T, Range<usize>)> {
    let starts = text.windows(member.len()).enumerate().rev();
    starts
        .filter(|(_, window)| *window == member)
        .find_map(|(at, _)| {
            let begin = at + member.len();
            let rest = serde_json::Deserializer::from_slice(text.get(begin..)?);
            let mut values = rest.into_iter::<T>();
            let value = values.next()?.ok()?;
            Some((value, at..begin + values.byte_offset()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENAI: &str = r#"{"choices":[{"text":"Paris"}],"usage":{"completion_tokens":2,"prompt_tokens":7,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":3}}}"#;
    const STREAM: &str = "data: {\"choices\":[{\"delta\":{}}],\"usage\":null}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    const TIMINGS: &str = "data: {\"choices\":[],\"timings\":{\"cache_n\":3,\"prompt_n\":4,\"prompt_ms\":1.5,\"predicted_n\":2}}\n\ndata: [DONE]\n\n";
    const EMBEDDING: &str = r#"{"data":[],"usage":{"prompt_tokens":7,"total_tokens":7}}"#;

    fn usage_of(parts: &[&str]) -> Option<(u64, u64)> {
        let mut ends = Ends::default();
        for part in parts {
            ends.push(part.as_bytes());
        }
        assert!(ends.head.len() <= KEPT && ends.tail.len() <= KEPT);
        ends.usage().map(|usage| (usage.prompt, usage.completion))
    }

    #[rstest::rstest]
    #[case::whole(OPENAI, Some((7, 2)))]
    #[case::stream(STREAM, Some((7, 2)))]
    #[case::llama_cpp_stream(TIMINGS, Some((7, 2)))]
    #[case::embedding(EMBEDDING, Some((7, 0)))]
    #[case::none("data: {\"choices\":[]}\n\ndata: [DONE]\n\n", None)]
    #[case::broken_off(&OPENAI[..60], None)]
    #[case::negative(r#"{"usage":{"prompt_tokens":-1}}"#, None)]
    #[case::said_by_the_model(r#"{"text":"\"usage\":{\"prompt_tokens\":1}"}"#, None)]
    fn read(#[case] text: &str, #[case] expected: Option<(u64, u64)>) {
        assert_eq!(usage_of(&[text]), expected);
        let pieces: Vec<String> = text.chars().map(String::from).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        assert_eq!(usage_of(&pieces), expected, "in pieces");
    }

    #[rstest::rstest]
    #[case::two_and_the_end(&[STREAM], 3)]
    #[case::in_pieces(&["data: {}\n", "\ndata: {}", "\n\n"], 2)]
    #[case::not_whole(&["data: {}\n"], 0)]
    #[case::no_stream(&[OPENAI], 0)]
    fn events_are_counted(#[case] parts: &[&str], #[case] events: u64) {
        let mut ends = Ends::default();
        let counted: u64 = parts.iter().map(|part| ends.push(part.as_bytes())).sum();
        assert_eq!(counted, events);
    }

    #[test]
    fn of_a_long_answer_both_ends_are_kept() {
        let long = "x".repeat(3 * KEPT);
        let long = long.as_str();
        assert_eq!(usage_of(&[EMBEDDING, long, STREAM]), Some((7, 2)));
        assert_eq!(usage_of(&[EMBEDDING, long]), Some((7, 0)));
        assert_eq!(usage_of(&[long, OPENAI, long]), None);
        assert_eq!(usage_of(&[TIMINGS, long]), None, "not of all of it");
    }

    /// As llama-server writes vectors.
    #[test]
    fn what_is_said_before_many_vectors_is_found() {
        let numbers = "0.125,".repeat(2 * 1024);
        let answer = format!(
            r#"{{"model":"m","object":"list","usage":{{"prompt_tokens":7,"total_tokens":7}},"data":[{{"embedding":[{numbers}0]}}]}}"#
        );
        assert_eq!(usage_of(&[answer.as_str()]), Some((7, 0)));
        let (begin, rest) = answer.split_at(70);
        assert_eq!(usage_of(&[begin, rest]), Some((7, 0)), "in pieces");
    }
}
