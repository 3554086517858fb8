//! Which lines somebody wants to see.

use std::str::FromStr;

use jiff::Timestamp;

use super::Entry;

/// What a line must have; an absent member asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The name of the key.
    pub key: Option<String>,
    /// The person that a token named.
    pub person: Option<String>,
    /// The served model's name.
    pub model: Option<String>,
    /// The route.
    pub route: Option<String>,
    /// The method of an MCP message.
    pub rpc: Option<String>,
    /// The tool that it calls.
    pub tool: Option<String>,
    /// The HTTP status.
    pub status: Option<Statuses>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// A status, `429`, or a class of them, `4xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// This one.
    One(u16),
    /// The hundreds.
    Class(u16),
}

/// The text is no [`Statuses`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a status such as 429, or a class such as 4xx")]
pub struct StatusesError;

impl FromStr for Statuses {
    type Err = StatusesError;

    fn from_str(text: &str) -> Result<Self, StatusesError> {
        let (number, class) = match text.strip_suffix("xx") {
            Some(class) => (class, true),
            None => (text, false),
        };
        match (number.parse(), class) {
            (Ok(hundreds @ 1..=5), true) => Ok(Self::Class(hundreds)),
            (Ok(status @ 100..=599), false) => Ok(Self::One(status)),
            _ => Err(StatusesError),
        }
    }
}

impl Filter {
    /// Whether this line is wanted.
    #[must_use]
    pub fn takes(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, there: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| there == Some(wanted))
        };
        let status = self.status.is_none_or(|wanted| match wanted {
            Statuses::One(status) => entry.status == status,
            Statuses::Class(hundreds) => entry.status / 100 == hundreds,
        });
        status
            && is(&self.key, entry.key.as_deref())
            && is(&self.person, entry.person.as_deref())
            && is(&self.model, entry.model.as_deref())
            && is(&self.route, Some(&entry.route))
            && is(&self.rpc, entry.rpc.as_deref())
            && is(&self.tool, entry.tool.as_deref())
            && is(&self.outcome, Some(&entry.outcome))
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time < until)
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::{LINE, MCP};
    use super::*;

    #[rstest::rstest]
    #[case::one("429", Ok(Statuses::One(429)))]
    #[case::class("4xx", Ok(Statuses::Class(4)))]
    #[case::small("99", Err(StatusesError))]
    #[case::no_class("40xx", Err(StatusesError))]
    #[case::word("ok", Err(StatusesError))]
    fn statuses(#[case] text: &str, #[case] expected: Result<Statuses, StatusesError>) {
        assert_eq!(text.parse(), expected);
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[rstest::rstest]
    #[case::all(Filter::default(), true)]
    #[case::key(Filter { key: some("tools"), ..Filter::default() }, true)]
    #[case::other_key(Filter { key: some("tool"), ..Filter::default() }, false)]
    #[case::person(Filter { person: some("tools"), ..Filter::default() }, false)]
    #[case::other_model(Filter { model: some("x"), ..Filter::default() }, false)]
    #[case::route(Filter { route: some("/v1/completions"), ..Filter::default() }, true)]
    #[case::class(Filter { status: Some(Statuses::Class(2)), ..Filter::default() }, true)]
    #[case::other_status(Filter { status: Some(Statuses::One(201)), ..Filter::default() }, false)]
    #[case::other_outcome(Filter { outcome: some("refused"), ..Filter::default() }, false)]
    #[case::since(Filter { since: "2026-11-23T10:00:00.25Z".parse().ok(), ..Filter::default() }, true)]
    #[case::until(Filter { until: "2026-11-23T10:00:00.25Z".parse().ok(), ..Filter::default() }, false)]
    fn takes(#[case] filter: Filter, #[case] expected: bool) {
        let entry = Entry::read(LINE).unwrap().unwrap();
        assert_eq!(filter.takes(&entry), expected);
    }

    #[rstest::rstest]
    #[case::rpc(Filter { rpc: some("tools/call"), ..Filter::default() }, true)]
    #[case::other_rpc(Filter { rpc: some("tools"), ..Filter::default() }, false)]
    #[case::tool(Filter { tool: some("find"), ..Filter::default() }, true)]
    #[case::other_tool(Filter { rpc: some("tools/call"), tool: some("fin"), ..Filter::default() }, false)]
    fn takes_of_mcp(#[case] filter: Filter, #[case] expected: bool) {
        let takes = |line| filter.takes(&Entry::read(line).unwrap().unwrap());
        assert_eq!((takes(MCP), takes(LINE)), (expected, false));
    }
}
