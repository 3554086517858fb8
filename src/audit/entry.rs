//! One line.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

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
}

/// A name that may come from elsewhere moves no cursor.
fn caller(name: Option<&String>) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    name.map_or_else(|| "-".to_owned(), |name| name.chars().map(shown).collect())
}

/// One line for people, the columns of changing width last.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |n| n.to_string());
        write!(
            f,
            "{:.0} {} {:>7}ms {:>6} {:>6} {:<16} {:<16} {:<20} {} {} {}",
            self.time,
            self.status,
            self.millis,
            count(self.prompt_tokens),
            count(self.completion_tokens),
            caller(self.key.as_ref().or(self.person.as_ref())),
            text(&self.source),
            self.route,
            text(&self.model),
            self.outcome,
            self.id,
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const LINE: &str = r#"{"kind":"audit","time":"2026-11-23T10:00:00.25Z","id":"77","source":"10.0.0.9","method":"POST","route":"/v1/completions","status":200,"model":"assistant","digest":"sha256:1","key":"tools","bytesIn":3,"bytesOut":4,"promptTokens":7,"completionTokens":2,"ttftMillis":5,"millis":12,"outcome":"ok"}"#;

    #[test]
    fn a_line_is_read_and_shown() {
        let entry = Entry::read(LINE).unwrap().unwrap();
        assert_eq!(
            entry.to_string(),
            "2026-11-23T10:00:00Z 200      12ms      7      2 tools            10.0.0.9         /v1/completions      assistant ok 77"
        );
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
    fn a_broken_line_is_an_error() {
        assert!(Entry::read(r#"{"kind":"audit","time":"never"}"#).is_err());
    }
}
