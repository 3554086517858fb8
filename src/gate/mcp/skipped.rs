//! What is known of a line that was not read, for want of memory or since it is no message: how it begins and ends.
//! Implementations of MCP write the id before the result or the parameters or after them, so that mostly it can still be
//! told who waits.

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

/// What such a line is, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// The answer to the request of that id.
    Answer(Id),
    /// A request, which wants an answer with that id.
    Question(Id),
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

    /// What it is, where that can be told and somebody waits for it or for what comes of it.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        let mut text = after(&self.head, b"{")?;
        let mut id = None;
        let head: fn(Id) -> Head = loop {
            let (name, rest) = string(text)?;
            let rest = after(rest, b":")?;
            let (value, rest) = match name {
                b"jsonrpc" | b"id" | b"method" => scalar(rest)?,
                b"result" | b"error" => break Head::Answer,
                b"params" => break Head::Question,
                _ => return None,
            };
            if name == b"id" {
                id = Some(value);
            }
            text = after(rest, b",")?;
        };
        let id = id.or_else(|| self.last_id())?;
        let raw: &RawValue = serde_json::from_slice(id).ok()?;
        Id::parse(raw).map(head)
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
                b"jsonrpc" | b"method" => text = &text[..at],
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

/// A string as it was written, and the rest.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = after(text, b"\"")?;
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// A string or a number as it was written, and the rest.
fn scalar(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = match text.first()? {
        b'"' => text.len() - string(text)?.1.len(),
        _ => text
            .iter()
            .take_while(|byte| matches!(byte, b'-' | b'.' | b'0'..=b'9'))
            .count(),
    };
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Option<String> {
        let padding = "x".repeat(4 * KEPT);
        let text = text.replace('…', &padding);
        let (one, other) = text.as_bytes().split_at(text.len() / 3);
        let mut skipped = Skipped::begin(one);
        other.chunks(100).for_each(|part| skipped.add(part));
        assert_eq!(skipped.bytes, text.len());
        let (what, id) = match skipped.head()? {
            Head::Answer(id) => ("answer", id),
            Head::Question(id) => ("question", id),
        };
        Some(format!("{what} {}", serde_json::to_string(&id).unwrap()))
    }

    #[test]
    fn it_is_known_by_the_id_before_what_is_long_or_after_it() {
        for (text, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"a":"…"}}"#,
                Some("answer 7"),
            ),
            (
                r#"{ "id" : "a-1" , "error" : {"a":"…"}}"#,
                Some("answer \"a-1\""),
            ),
            (
                r#"{"result":{"a":"…"},"jsonrpc":"2.0","id":12}"#,
                Some("answer 12"),
            ),
            (
                r#"{"result":{"a":"…"},"id":3,"jsonrpc":"2.0"} "#,
                Some("answer 3"),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7.0,"result":{"a":"…"}}"#,
                Some("answer 7.0"),
            ),
            // A result that holds what looks like one.
            (r#"{"result":{"a":"…","id":12},"jsonrpc":"2.0"}"#, None),
            (r#"{"result":{"a":"…","id":12}}"#, None),
            (r#"{"jsonrpc":"2.0","result":"…\",\"id\":5"}"#, None),
            // Requests have ids of their own.
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"a","params":{"a":"…"}}"#,
                Some("question 7"),
            ),
            (
                r#"{"method":"a\/b","params":{"a":"…"},"jsonrpc":"2.0","id":7}"#,
                Some("question 7"),
            ),
            (
                r#"{"id":"\"7","params":{"a":"…"},"method":"a","jsonrpc":"2.0"}"#,
                Some(r#"question "\"7""#),
            ),
            (
                r#"{"params":{"a":"…"},"id":7,"method":"a","jsonrpc":"2.0"}"#,
                Some("question 7"),
            ),
            // Notifications have none.
            (
                r#"{"jsonrpc":"2.0","method":"a","params":{"a":"…","id":12}}"#,
                None,
            ),
            (
                r#"{"method":"a","params":{"a":"…","id":12},"jsonrpc":"2.0"}"#,
                None,
            ),
            (r#"{"jsonrpc":"2.0","id":{},"result":"…"}"#, None),
            ("…", None),
        ] {
            assert_eq!(head(text).as_deref(), expected, "{text}");
        }
    }
}
