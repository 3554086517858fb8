//! How severe a line of a server's log is, and from where on a client of the stateless era wants it (2026-07-28,
//! Logging). Pure.

use super::object::Object;
use super::translate::LEVEL;

/// The levels by their names, the least severe first (RFC 5424, section 6.2.1).
const NAMES: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// One of them; the more severe is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(usize);

impl Level {
    /// Reads one; `None` where MCP has no such level.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        NAMES.iter().position(|name| *name == text).map(Self)
    }

    /// From which level on a request wants the log, by its parameters. Who names none wants nothing of it.
    #[must_use]
    pub fn wanted(params: &Object) -> Option<Self> {
        Self::parse(&params.object("_meta")?.text(LEVEL)?)
    }

    /// The level of what a server logs, by its parameters.
    #[must_use]
    pub fn said(params: &Object) -> Option<Self> {
        Self::parse(&params.text("level")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    #[rstest::rstest]
    #[case::named(
        r#"{"_meta":{"io.modelcontextprotocol/logLevel":"info"}}"#,
        Some("info")
    )]
    #[case::other_case(r#"{"_meta":{"io.modelcontextprotocol/logLevel":"Info"}}"#, None)]
    #[case::no_text(r#"{"_meta":{"io.modelcontextprotocol/logLevel":1}}"#, None)]
    #[case::elsewhere(r#"{"level":"info","_meta":{"level":"info"}}"#, None)]
    #[case::nothing("{}", None)]
    fn a_request_says_which_it_wants(#[case] params: &str, #[case] level: Option<&str>) {
        assert_eq!(Level::wanted(&object(params)), level.and_then(Level::parse));
    }

    #[test]
    fn the_more_severe_is_the_greater() {
        let levels = NAMES.map(|name| Level::parse(name).unwrap());
        assert!(levels.is_sorted());
        assert!(Level::parse("notice") < Level::parse("error"));
        assert_eq!(
            Level::said(&object(r#"{"level":"alert"}"#)),
            Level::parse("alert")
        );
        assert_eq!(Level::said(&object(r#"{"level":"loud"}"#)), None);
    }
}
