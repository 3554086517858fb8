//! What is known of a line for which there was no memory: how it begins and ends. Implementations of MCP write the id of
//! an answer before the result or after it, so that mostly it can still be told whose answer it was.

use serde_json::value::RawValue;

use crate::mcp::Id;

/// Of the beginning, and of the end. An id and the version have at most 300 bytes.
const KEPT: usize = 512;

/// Beginning and end of a line.
#[derive(Debug)]
pub struct Skipped {
    head: Vec<u8>,
    tail: Vec<u8>,
    /// How long it is.
    pub bytes: usize,
}

impl Skipped {
    /// Of what was read of it already.
    #[must_use]
    pub fn begin(line: &[u8]) -> Self {
        let mut skipped = Self {
            head: line[..line.len().min(KEPT)].to_vec(),
            tail: Vec::new(),
            bytes: 0,
        };
        skipped.add(line);
        skipped
    }

    /// More of it.
    pub fn add(&mut self, part: &[u8]) {
        self.bytes += part.len();
        self.tail
            .extend_from_slice(&part[part.len().saturating_sub(KEPT)..]);
        let excess = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..excess);
    }

    /// The request that it answers, where it is an answer and that can be told.
    #[must_use]
    pub fn answers(&self) -> Option<Id> {
        let mut text = after(&self.head, b"{")?;
        let mut id = None;
        loop {
            let (name, rest) = string(text)?;
            let rest = after(rest, b":")?;
            let (value, rest) = match name {
                b"jsonrpc" | b"id" => scalar(rest)?,
                b"result" | b"error" => break,
                _ => return None,
            };
            if name == b"id" {
                id = Some(value);
            }
            text = after(rest, b",")?;
        }
        let id = id.or_else(|| self.last_id())?;
        let raw: &RawValue = serde_json::from_slice(id).ok()?;
        Id::parse(raw)
    }

    /// The value of `id` among the last members. What ends the line ends the message, so these are members of it.
    fn last_id(&self) -> Option<&[u8]> {
        let mut text = before(&self.tail, b"}")?;
        loop {
            let at = text.iter().rposition(|byte| *byte == b',')?;
            let (name, rest) = string(&text[at + 1..])?;
            let (value, rest) = scalar(after(rest, b":")?)?;
            if !rest.trim_ascii().is_empty() {
                return None;
            }
            match name {
                b"id" => return Some(value),
                b"jsonrpc" => text = &text[..at],
                _ => return None,
            }
        }
    }
}

/// What follows `sign`, where that comes next.
fn after<'a>(text: &'a [u8], sign: &[u8]) -> Option<&'a [u8]> {
    text.trim_ascii_start().strip_prefix(sign)
}

/// What precedes it, where that comes last.
fn before<'a>(text: &'a [u8], sign: &[u8]) -> Option<&'a [u8]> {
    text.trim_ascii_end().strip_suffix(sign)
}

/// A string in which nothing is escaped, and the rest.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = after(text, b"\"")?;
    let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (text[end] == b'"').then(|| (&text[..end], &text[end + 1..]))
}

/// A string or a number as it was written, and the rest.
fn scalar(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = match text.first()? {
        b'"' => text.len() - string(text)?.1.len(),
        _ => text
            .iter()
            .take_while(|byte| matches!(byte, b'-' | b'0'..=b'9'))
            .count(),
    };
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(text: &str) -> Option<String> {
        let padding = "x".repeat(4 * KEPT);
        let text = text.replace('…', &padding);
        let (one, other) = text.as_bytes().split_at(text.len() / 3);
        let mut skipped = Skipped::begin(one);
        other.chunks(100).for_each(|part| skipped.add(part));
        assert_eq!(skipped.bytes, text.len());
        let id = skipped.answers()?;
        Some(serde_json::to_string(&id).unwrap())
    }

    #[test]
    fn an_answer_is_known_by_the_id_before_its_result_or_after_it() {
        for (text, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"a":"…"}}"#, Some("7")),
            (r#"{ "id" : "a-1" , "error" : {"a":"…"}}"#, Some("\"a-1\"")),
            (
                r#"{"result":{"a":"…"},"jsonrpc":"2.0","id":12}"#,
                Some("12"),
            ),
            (r#"{"result":{"a":"…"},"id":3,"jsonrpc":"2.0"} "#, Some("3")),
            // A result that holds what looks like one.
            (r#"{"result":{"a":"…","id":12},"jsonrpc":"2.0"}"#, None),
            (r#"{"result":{"a":"…","id":12}}"#, None),
            (r#"{"jsonrpc":"2.0","result":"…\",\"id\":5"}"#, None),
            // Requests have ids of their own.
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"a","params":{"a":"…"}}"#,
                None,
            ),
            (
                r#"{"method":"a","params":{"a":"…"},"jsonrpc":"2.0","id":7}"#,
                None,
            ),
            (r#"{"jsonrpc":"2.0","id":{},"result":"…"}"#, None),
            ("…", None),
        ] {
            assert_eq!(answers(text).as_deref(), id, "{text}");
        }
    }
}
