//! Server-sent events of an engine (WHATWG HTML, section 9.2.6) in which it may tell of a fault of its own: found at
//! the beginning of each, however the stream comes in pieces; pure.

use bytes::{Bytes, BytesMut};

/// How the engines begin an event that is an error. In no other event is a member called so.
const ERROR: [&[u8]; 4] = [b"data:", b"{", b"\"error\"", b":"];
/// The same of llama-server's older builds, which give it a field of its own.
const FIELD: [&[u8]; 1] = [b"error:"];
/// What is no error, though the member is there.
const NONE: &[u8] = b"null";
/// More than this is no beginning: engines write these words without much space between.
const LONGEST: usize = 256;

/// A stream of events, of which the engine's own words about its faults do not pass.
#[derive(Debug)]
pub struct Events {
    /// An event's first bytes, of which nobody can say yet whether it is an error.
    open: BytesMut,
    /// The next byte is an event's first, or one behind `open`.
    begins: bool,
    ends: EventEnds,
}

/// Where events end: with an empty line.
#[derive(Debug, Default)]
pub struct EventEnds {
    /// The last byte ended a line.
    line_ended: bool,
}

/// What becomes of a piece.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// This passes.
    pub passes: Bytes,
    /// Behind it an event begins that is an error.
    pub error: bool,
}

/// What an event is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Error,
    Other,
    /// Either.
    Open,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            open: BytesMut::new(),
            begins: true,
            ends: EventEnds::default(),
        }
    }
}

impl Events {
    /// The next piece of the stream. Nothing is to come after one with an error.
    #[must_use]
    pub fn hear(&mut self, piece: Bytes) -> Heard {
        let piece = if self.open.is_empty() {
            piece
        } else {
            let mut joined = std::mem::take(&mut self.open);
            joined.extend_from_slice(&piece);
            joined.freeze()
        };
        let mut at = 0;
        loop {
            if self.begins {
                match kind(&piece[at..]) {
                    Kind::Other => self.begins = false,
                    Kind::Error => return passes(&piece, at, true),
                    Kind::Open => {
                        self.open.extend_from_slice(&piece[at..]);
                        return passes(&piece, at, false);
                    }
                }
            }
            match self.ends.find(&piece[at..]) {
                Some(length) => {
                    self.begins = true;
                    at += length;
                }
                None => return passes(&piece, piece.len(), false),
            }
        }
    }

    /// Whether an event has begun of which nothing has passed yet. Space between events is none.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.iter().all(u8::is_ascii_whitespace)
    }
}

impl EventEnds {
    /// How many bytes the event still has that goes on here; nothing where it does not end.
    pub fn find(&mut self, rest: &[u8]) -> Option<usize> {
        for (index, byte) in rest.iter().copied().enumerate() {
            match byte {
                b'\n' if self.line_ended => {
                    self.line_ended = false;
                    return Some(index + 1);
                }
                b'\n' => self.line_ended = true,
                // Lines may end with both.
                b'\r' => {}
                _ => self.line_ended = false,
            }
        }
        None
    }
}

fn passes(piece: &Bytes, length: usize, error: bool) -> Heard {
    Heard {
        passes: piece.slice(..length),
        error,
    }
}

fn kind(event: &[u8]) -> Kind {
    let error = match begins(event, &ERROR) {
        Ok(rest) if rest.starts_with(NONE) => Kind::Other,
        Ok(rest) if NONE.starts_with(rest) => Kind::Open,
        Ok(_) => Kind::Error,
        Err(kind) => kind,
    };
    let field = begins(event, &FIELD).map_or_else(|kind| kind, |_| Kind::Error);
    match (error, field) {
        (Kind::Error, _) | (_, Kind::Error) => Kind::Error,
        (Kind::Open, _) | (_, Kind::Open) if event.len() > LONGEST => Kind::Error,
        (Kind::Open, _) | (_, Kind::Open) => Kind::Open,
        (Kind::Other, Kind::Other) => Kind::Other,
    }
}

/// What stands behind these words, with any space around them.
fn begins<'a>(event: &'a [u8], words: &[&[u8]]) -> Result<&'a [u8], Kind> {
    let mut rest = event.trim_ascii_start();
    for word in words {
        rest = match rest.strip_prefix(*word) {
            Some(rest) => rest.trim_ascii_start(),
            None if word.starts_with(rest) => return Err(Kind::Open),
            None => return Err(Kind::Other),
        };
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "data: {\"choices\":[]}\n\n";

    /// What passes of these pieces, and whether an error was found in them.
    fn heard(pieces: &[&str]) -> (String, bool) {
        let mut events = Events::default();
        let mut text = String::new();
        for piece in pieces {
            let heard = events.hear(Bytes::copy_from_slice(piece.as_bytes()));
            text.push_str(std::str::from_utf8(&heard.passes).unwrap());
            assert!(events.open.len() <= LONGEST);
            if heard.error {
                return (text, true);
            }
        }
        (text, false)
    }

    #[rstest::rstest]
    #[case::of_llama_cpp(r#"data: {"error":{"code":500,"message":"x"}}"#, true)]
    #[case::of_older_builds(r#"error: {"code":500,"message":"x"}"#, true)]
    #[case::written_closely(r#"data:{"error":"x"}"#, true)]
    #[case::written_widely("data:  { \"error\" : {} }", true)]
    #[case::after_empty_lines("\n\r\ndata: {\"error\":{} }", true)]
    #[case::none(r#"data: {"error":null,"choices":[]}"#, false)]
    #[case::an_answer(r#"data: {"choices":[{"delta":{}}]}"#, false)]
    #[case::another_member(r#"data: {"errors":[]}"#, false)]
    #[case::said_by_the_model(r#"data: {"text":"{\"error\":1}"}"#, false)]
    #[case::a_line_of_its_text(r#"data: {"text":"x\n\ndata: {\"error\":1}"}"#, false)]
    #[case::a_sign_of_life(": still there", false)]
    #[case::the_end("data: [DONE]", false)]
    fn events_that_are_errors(
        #[case] event: &str,
        #[case] error: bool,
        #[values("\n\n", "\r\n\r\n")] end: &str,
    ) {
        let event = format!("{event}{end}");
        let before = if error { "" } else { event.as_str() };
        assert_eq!(
            heard(&[event.as_str()]),
            (before.to_owned(), error),
            "alone"
        );
        let behind = format!("{ONE}{event}");
        let passed = format!("{ONE}{before}");
        assert_eq!(
            heard(&[behind.as_str()]),
            (passed.clone(), error),
            "behind another one"
        );
        let each: Vec<String> = behind.chars().map(String::from).collect();
        let each: Vec<&str> = each.iter().map(String::as_str).collect();
        assert_eq!(heard(&each), (passed.clone(), error), "byte by byte");
        for at in 0..behind.len() {
            let (begin, rest) = behind.split_at(at);
            assert_eq!(
                heard(&[begin, rest]),
                (passed.clone(), error),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn of_an_event_that_has_only_begun_nothing_passes_yet() {
        let mut events = Events::default();
        let begun = format!("{ONE}data: {{\"err");
        assert_eq!(events.hear(begun.into()).passes, ONE);
        assert!(events.is_open());
        let rest = Bytes::from_static(b"ands\":1}\n\n");
        assert_eq!(events.hear(rest).passes, "data: {\"errands\":1}\n\n");
        assert!(!events.is_open());
        let end = events.hear(Bytes::from_static(b"data: [DONE]\n\n\n"));
        assert!(end.passes.starts_with(b"data: [DONE]\n\n"));
        assert!(!events.is_open(), "a line too many");
    }

    #[test]
    fn space_without_end_is_no_event() {
        let (text, error) = heard(&[" ".repeat(200).as_str(), " ".repeat(200).as_str()]);
        assert_eq!((text.as_str(), error), ("", true));
    }
}
