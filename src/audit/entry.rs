//! One line.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use crate::engine::Route;
use crate::gate::mcp::front::PATH;

/// What a line says. Members that an older gate did not write are absent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When the request came.
    pub time: Timestamp,
    /// The client got it as `x-request-id`.
    #[serde(default)]
    pub id: String,
    /// The address that it came from.
    #[serde(default)]
    pub source: Option<String>,
    /// The name of the key.
    #[serde(default)]
    pub key: Option<String>,
    /// The person that a token named.
    #[serde(default)]
    pub person: Option<String>,
    /// The route, or `other`.
    pub route: String,
    /// The HTTP status.
    pub status: u16,
    /// The served model's name.
    #[serde(default)]
    pub model: Option<String>,
    /// The method of an MCP message, or what it is that has none.
    #[serde(default)]
    pub rpc: Option<String>,
    /// The tool that it calls.
    #[serde(default)]
    pub tool: Option<String>,
    /// Tokens read.
    #[serde(default)]
    pub prompt_tokens: Option<u64>,
    /// Tokens written.
    #[serde(default)]
    pub completion_tokens: Option<u64>,
    /// Milliseconds from its arrival to its end.
    #[serde(default)]
    pub millis: u64,
    /// How it ended.
    #[serde(default)]
    pub outcome: String,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, default)]
    kind: Option<std::borrow::Cow<'a, str>>,
}

impl Entry {
    /// Reads a line of a log: `None` when it is another kind of line, an error when it is an audit line that
    /// cannot be read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(line: &str) -> Result<Option<Self>, serde_json::Error> {
        let kind = serde_json::from_str::<Kind<'_>>(line).ok();
        if kind.and_then(|kind| kind.kind).as_deref() != Some("audit") {
            return Ok(None);
        }
        serde_json::from_str(line).map(Some)
    }

    /// Whether an engine could have told tokens of it: it asks for no list of models, and no MCP server.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        ![PATH, Route::Models.path()].contains(&self.route.as_str())
    }

    /// Whether a line that is not there to its end begins as a gate's audit lines do.
    #[must_use]
    pub fn begins(line: &[u8]) -> bool {
        line.starts_with(br#"{"kind":"audit""#)
    }
}

/// A name that may come from elsewhere moves no cursor.
fn name(name: Option<&String>) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    name.map_or_else(|| "-".to_owned(), |name| name.chars().map(shown).collect())
}

/// One line for people, the columns of changing width last.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |n| n.to_string());
        write!(
            f,
            "{:.0} {} {:>7}ms {:>6} {:>6} {:<16} {:<16} {:<20} {:<10} {} {} {}",
            self.time,
            self.status,
            self.millis,
            count(self.prompt_tokens),
            count(self.completion_tokens),
            name(self.key.as_ref().or(self.person.as_ref())),
            name(self.source.as_ref()),
            self.route,
            name(self.rpc.as_ref()),
            name(self.model.as_ref().or(self.tool.as_ref())),
            self.outcome,
            self.id,
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const LINE: &str = r#"{"kind":"audit","time":"2026-11-23T10:00:00.25Z","id":"77","source":"10.0.0.9","method":"POST","route":"/v1/completions","status":200,"model":"assistant","digest":"sha256:1","key":"tools","bytesIn":3,"bytesOut":4,"promptTokens":7,"completionTokens":2,"ttftMillis":5,"millis":12,"outcome":"ok"}"#;

    pub(crate) const MCP: &str = r#"{"kind":"audit","time":"2026-11-23T10:00:00.25Z","id":"78","source":"10.0.0.9","method":"POST","route":"/mcp","status":200,"rpc":"tools/call","tool":"find","protocol":"2025-11-25","rpcError":null,"key":"tools","person":null,"bytesIn":3,"bytesOut":4,"millis":12,"outcome":"ok"}"#;

    #[rstest::rstest]
    #[case::model(
        LINE,
        "     7      2 tools            10.0.0.9         /v1/completions      -          assistant ok 77"
    )]
    #[case::mcp(
        MCP,
        "     -      - tools            10.0.0.9         /mcp                 tools/call find ok 78"
    )]
    fn a_line_is_read_and_shown(#[case] line: &str, #[case] shown: &str) {
        let entry = Entry::read(line).unwrap().unwrap();
        let whole = format!("2026-11-23T10:00:00Z 200      12ms {shown}");
        assert_eq!(entry.to_string(), whole);
    }

    #[rstest::rstest]
    #[case::completion(LINE, "/v1/completions", true)]
    #[case::no_route(LINE, "other", true)]
    #[case::names_of_models(LINE, "/v1/models", false)]
    #[case::mcp(MCP, "/mcp", false)]
    fn tokens_are_told_of_what_an_engine_answers(
        #[case] line: &str,
        #[case] route: &str,
        #[case] takes: bool,
    ) {
        let entry = Entry {
            route: route.to_owned(),
            ..Entry::read(line).unwrap().unwrap()
        };
        assert_eq!(entry.takes_tokens(), takes);
    }

    #[test]
    fn a_tool_moves_no_cursor() {
        let entry = Entry {
            tool: Some("find\u{1b}[2J".to_owned()),
            ..Entry::read(MCP).unwrap().unwrap()
        };
        assert!(entry.to_string().contains(r" find\u{1b}[2J "), "{entry}");
    }

    #[rstest::rstest]
    #[case::key(Some("tools"), None, " tools            ")]
    #[case::person(None, Some("ada"), " ada              ")]
    #[case::nobody(None, None, " -                ")]
    #[case::terminal(None, Some("ada\u{1b}[2J"), " ada\\u{1b}[2J")]
    fn who_asked_is_shown(
        #[case] key: Option<&str>,
        #[case] person: Option<&str>,
        #[case] shown: &str,
    ) {
        let entry = Entry {
            key: key.map(str::to_owned),
            person: person.map(str::to_owned),
            ..Entry::read(LINE).unwrap().unwrap()
        };
        assert!(entry.to_string().contains(shown), "{entry}");
    }

    #[rstest::rstest]
    #[case::log(r#"{"level":"INFO","message":"seal"}"#)]
    #[case::text("the engine says hello")]
    #[case::empty("")]
    #[case::other_kind(r#"{"kind":"x","time":"never"}"#)]
    fn other_lines_are_none_of_ours(#[case] line: &str) {
        assert_eq!(Entry::read(line).unwrap(), None);
    }

    #[test]
    fn a_line_begins_with_its_kind() {
        assert!(Entry::begins(LINE.as_bytes()));
        assert!(!Entry::begins(br#"{"kind":"x""#));
    }

    #[test]
    fn a_broken_line_is_an_error() {
        assert!(Entry::read(r#"{"kind":"audit","time":"never"}"#).is_err());
    }
}
