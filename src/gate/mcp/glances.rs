//! The answers in a stream of server-sent events (WHATWG HTML, section 9.2) that passes as it comes: pure. Nothing is held
//! back for it, and as good as nothing of it is kept, however long its events are.

use crate::mcp::glance::{Answer, Glance};

/// The field with an event's message, which may be written in several lines. The first line of all may have a mark of the
/// byte order before it, which a reader takes off.
const FIELD: &[u8] = b"\xef\xbb\xbfdata:";
/// Where the field begins without it.
const NAME: usize = 3;

/// One event after the other.
#[derive(Debug, Default)]
pub struct Glances {
    line: Line,
    /// The last byte was a CR: an LF behind it ends no other line.
    returned: bool,
    glance: Glance,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    /// It is [`FIELD`] up to there.
    Field(usize),
    /// The rest of it is data. Between two such lines a reader has a line break, and does not have a space behind the colon:
    /// between the tokens of JSON neither means anything, and with a line break within one a text is no JSON.
    Data,
    /// Another field, or a comment.
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Field(0)
    }
}

impl Glances {
    /// The answers whose events end in these bytes.
    pub fn push(&mut self, text: &[u8]) -> Vec<Answer> {
        let mut found = Vec::new();
        for part in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, end) = match part {
                [line @ .., end @ (b'\n' | b'\r')] => (line, Some(*end)),
                line => (line, None),
            };
            let returned = std::mem::replace(&mut self.returned, end == Some(b'\r'));
            if returned && part == b"\n" {
                continue;
            }
            self.more(line);
            if end.is_some() {
                // An empty line: a reader has the event now, and not before.
                if matches!(self.line, Line::Field(NAME)) {
                    found.extend(std::mem::take(&mut self.glance).answer());
                }
                self.line = Line::Field(NAME);
            }
        }
        found
    }

    /// More of a line, without its end.
    fn more(&mut self, mut part: &[u8]) {
        while let (Line::Field(at), [byte, rest @ ..]) = (self.line, part) {
            let at = if at == 0 && *byte != FIELD[0] {
                NAME
            } else {
                at
            };
            self.line = if FIELD.get(at) != Some(byte) {
                Line::Other
            } else if at + 1 < FIELD.len() {
                Line::Field(at + 1)
            } else {
                Line::Data
            };
            part = rest;
        }
        if matches!(self.line, Line::Data) {
            self.glance.push(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers of a text in these pieces: id and code of each.
    fn seen<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut glances = Glances::default();
        let found = parts.into_iter().flat_map(|part| glances.push(part));
        let found = found.map(|answer| {
            let id = serde_json::to_string(&answer.id).unwrap();
            let code = answer.error.map(|code| format!(" {code}"));
            id + &code.unwrap_or_default()
        });
        found.collect()
    }

    const ONE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"x":[1]}}"#;

    #[rstest::rstest]
    #[case::one(format!("event: message\ndata: {ONE}\n\n"), &["1"])]
    #[case::without_a_space(format!("data:{ONE}\nid: 7\nretry: 5\n\n"), &["1"])]
    #[case::behind_others(
        format!(": begun\n\nid: 0\ndata: \n\ndata: no json\n\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"a\"}}\n\ndata: {ONE}\n\n"),
        &["1"]
    )]
    #[case::several(
        format!("data: {ONE}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"error\":{{\"code\":-5}}}}\n\n"),
        &["1", "\"b\" -5"]
    )]
    #[case::in_several_lines(
        "data: {\ndata:   \"jsonrpc\": \"2.0\",\n: comment\ndata:   \"id\":\nid: 8\ndata: 1,\ndata\ndata:\ndata: \"result\": {\"x\":\ndata: []}\ndata: }\n\n".to_owned(),
        &["1"]
    )]
    #[case::behind_a_mark(format!("\u{feff}data: {ONE}\n\n"), &["1"])]
    #[case::behind_a_marked_line(format!("\u{feff}\ndata: {ONE}\n\n"), &["1"])]
    #[case::behind_a_later_mark(format!("\u{feff}\u{feff}data: {ONE}\n\u{feff}data: {ONE}\n\n"), &[])]
    #[case::not_over(format!("data: {ONE}\n"), &[])]
    #[case::broken_off(format!("data: {}\n\ndata: }}\n\n", &ONE[..ONE.len() - 1]), &[])]
    #[case::other_fields(format!("dat: {ONE}\n\ndatas: {ONE}\n\n data: {ONE}\n\n:data: {ONE}\n\n{ONE}\n\n"), &[])]
    fn answers_are_seen_however_their_events_come(#[case] text: String, #[case] ids: &[&str]) {
        for end in ["\n", "\r\n", "\r"] {
            let text = text.replace('\n', end);
            let bytes = text.as_bytes();
            for at in 0..=bytes.len() {
                let (one, other) = bytes.split_at(at);
                assert_eq!(seen([one, other]), ids, "at {at} of {text:?}");
            }
            assert_eq!(seen(bytes.chunks(1)), ids, "{text:?}");
        }
    }

    #[test]
    fn an_event_may_be_as_long_as_it_likes() {
        let long = "x".repeat(1024 * 1024);
        let text = format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":{{\"x\":\"{long}\"}}}}\n\ndata: {{\"result\":{{\"x\":\"{long}\"}},\"jsonrpc\":\"2.0\",\"id\":7}}\n\n"
        );
        assert_eq!(seen(text.as_bytes().chunks(1500)), ["7"]);
    }
}
