//! Tokens that the gate asked for and the client did not: read from a stream, and taken out of what passes; pure.

use bytes::{Bytes, BytesMut};

use super::{KEPT, Usage, said};
use crate::gate::events::EventEnds;

/// A stream of which the client gets what it would have got had nobody asked: neither the event that tells tokens and has
/// no choices, nor the `usage` of any other.
#[derive(Debug, Default)]
pub struct Unasked {
    /// The event under way, as far as it has come: whether it passes is known at its end.
    open: BytesMut,
    /// It is longer than those that tell tokens, and passes as it comes.
    long: bool,
    ends: EventEnds,
    usage: Option<Usage>,
}

impl Unasked {
    /// What passes of the stream's next piece.
    #[must_use]
    pub fn pass(&mut self, piece: &[u8]) -> Bytes {
        let mut passes = BytesMut::with_capacity(self.open.len() + piece.len());
        let mut rest = piece;
        while !rest.is_empty() {
            let end = self.ends.find(rest);
            let (more, behind) = rest.split_at(end.unwrap_or(rest.len()));
            rest = behind;
            self.open.extend_from_slice(more);
            self.long |= self.open.len() > KEPT;
            if self.long {
                passes.extend_from_slice(&std::mem::take(&mut self.open));
            } else if end.is_some() {
                self.end_event(&mut passes);
            }
            self.long &= end.is_none();
        }
        passes.freeze()
    }

    /// Whether an event has begun of which nothing has passed yet. Space between events is none.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.iter().all(u8::is_ascii_whitespace)
    }

    /// What the event without choices told.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn end_event(&mut self, passes: &mut BytesMut) {
        let event = std::mem::take(&mut self.open);
        let Some((usage, at)) = said(&event) else {
            passes.extend_from_slice(&event);
            return;
        };
        if has_no_choices(&event) {
            self.usage = Some(usage);
            return;
        }
        // Once asked, Ollama's completions have it in every event, as the last member and of zeros.
        let behind = &event[at.end..];
        match event[..at.start].strip_suffix(b",") {
            Some(before) => {
                passes.extend_from_slice(before);
                passes.extend_from_slice(behind);
            }
            None => passes.extend_from_slice(&event),
        }
    }
}

fn has_no_choices(event: &[u8]) -> bool {
    let name = b"\"choices\":";
    let at = event.windows(name.len()).position(|window| window == name);
    let value = at.map(|at| event[at + name.len()..].trim_ascii_start());
    value
        .and_then(|value| value.strip_prefix(b"["))
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""id":"chatcmpl-1","model":"assistant","system_fingerprint":"fp_ollama""#;

    /// An event as Ollama 0.17.4 writes it.
    fn event(choices: &str, usage: &str) -> String {
        format!("data: {{{HEAD},\"choices\":[{choices}]{usage}}}\n\n")
    }

    fn usage(prompt: u64, completion: u64) -> String {
        let total = prompt + completion;
        format!(
            r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}"#
        )
    }

    /// What passes of these pieces, and the tokens.
    fn passed(pieces: &[&str]) -> (String, Option<(u64, u64)>) {
        let mut unasked = Unasked::default();
        let mut text = Vec::new();
        for piece in pieces {
            text.extend_from_slice(&unasked.pass(piece.as_bytes()));
            assert!(unasked.open.len() <= KEPT);
        }
        assert!(!unasked.is_open(), "of a whole stream all has passed");
        let usage = unasked.usage();
        let usage = usage.map(|usage| (usage.prompt, usage.completion));
        (String::from_utf8(text).unwrap(), usage)
    }

    const ONE: &str = r#"{"delta":{"content":"Paris, \"usage\":{\"prompt_tokens\":1}"}}"#;
    const DONE: &str = "data: [DONE]\n\n";

    #[rstest::rstest]
    #[case::chat("", Some((7, 2)), true)]
    #[case::completions(&usage(0, 0), Some((7, 2)), true)]
    #[case::no_tokens("", None, false)]
    #[case::zeros_alone_tell_nothing(&usage(0, 0), None, false)]
    fn the_client_gets_what_it_would_get_unasked(
        #[case] of_each: &str,
        #[case] expected: Option<(u64, u64)>,
        #[case] told: bool,
    ) {
        let last = if told {
            event("", &usage(7, 2))
        } else {
            String::new()
        };
        let each = [ONE, "{}"].map(|choice| event(choice, of_each));
        let all = format!("{}{last}{DONE}", each.concat());
        let plain = [event(ONE, ""), event("{}", ""), DONE.to_owned()].concat();
        assert_eq!(passed(&[&all]), (plain.clone(), expected));
        for at in 0..all.len() {
            let (begin, rest) = all.split_at(at);
            assert_eq!(
                passed(&[begin, rest]),
                (plain.clone(), expected),
                "cut at {at}"
            );
        }
        let each: Vec<String> = all.chars().map(String::from).collect();
        let each: Vec<&str> = each.iter().map(String::as_str).collect();
        assert_eq!(passed(&each), (plain, expected), "byte by byte");
    }

    #[rstest::rstest]
    #[case::a_sign_of_life(": still there\n\n")]
    #[case::a_line_too_many("data: [DONE]\n\n\n\n")]
    #[case::none_of_it("data: {\"choices\":[],\"usage\":null}\n\n")]
    #[case::no_choices_and_no_tokens("data: {\"choices\":[]}\n\n")]
    #[case::first_of_all("data: {\"usage\":{\"prompt_tokens\":1},\"choices\":[{}]}\n\n")]
    fn what_tells_no_tokens_passes(#[case] text: &str) {
        assert_eq!(passed(&[text]), (text.to_owned(), None));
    }

    #[test]
    fn an_event_passes_at_its_end_and_a_long_one_as_it_comes() {
        let mut unasked = Unasked::default();
        let whole = event(ONE, "");
        let (begin, rest) = whole.split_at(whole.len() - 1);
        assert!(unasked.pass(begin.as_bytes()).is_empty());
        assert!(unasked.is_open());
        assert_eq!(unasked.pass(rest.as_bytes()), whole);
        let long = format!("data: {}", "x".repeat(KEPT));
        assert_eq!(unasked.pass(long.as_bytes()), long);
        assert_eq!(unasked.pass(b"more"), "more");
        let end = format!("\n\n{}", event("", &usage(7, 2)));
        assert_eq!(unasked.pass(end.as_bytes()), "\n\n");
        assert!(unasked.usage().is_some());
    }
}
