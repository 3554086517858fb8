//! Tokens per key or person and month.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::tz::TimeZone;

use super::Entry;

/// Sums by month (UTC), the name of the key, and the person.
#[derive(Clone, Debug, Default)]
pub struct Totals(BTreeMap<(String, String, String), Sum>);

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    requests: u64,
    prompt: u64,
    completion: u64,
    untold: u64,
}

impl Totals {
    /// Adds a request.
    pub fn add(&mut self, entry: &Entry) {
        let month = entry.time.to_zoned(TimeZone::UTC).strftime("%Y-%m");
        let key = entry.key.clone().unwrap_or_default();
        let person = entry.person.clone().unwrap_or_default();
        let by = (month.to_string(), key, person);
        let sum = self.0.entry(by).or_default();
        sum.requests += 1;
        match (entry.prompt_tokens, entry.completion_tokens) {
            (None, None) => sum.untold += u64::from(entry.takes_tokens()),
            (prompt, completion) => {
                sum.prompt = sum.prompt.saturating_add(prompt.unwrap_or_default());
                let completion = completion.unwrap_or_default();
                sum.completion = sum.completion.saturating_add(completion);
            }
        }
    }

    /// As CSV (RFC 4180). `untold` counts the requests of which the engine told no tokens: refused and broken ones. Those
    /// that take none are requests alone.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "month,key,person,requests,prompt_tokens,completion_tokens,untold"
        )?;
        for ((month, key, person), sum) in &self.0 {
            let Sum {
                requests,
                prompt,
                completion,
                untold,
            } = sum;
            let (key, person) = (quoted(key), quoted(person));
            writeln!(
                out,
                "{month},{key},{person},{requests},{prompt},{completion},{untold}"
            )?;
        }
        Ok(())
    }
}

/// A field as it is, in quotation marks where it holds what would end it, and never the beginning of a formula
/// in a spreadsheet.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@']);
    let field = if formula {
        format!("'{field}")
    } else {
        field.to_owned()
    };
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::{LINE, MCP};
    use super::*;

    #[test]
    fn sums_by_month_and_key() {
        let entry = Entry::read(LINE).unwrap().unwrap();
        let later = Entry {
            time: "2026-12-01T00:00:00Z".parse().unwrap(),
            ..entry.clone()
        };
        let untold = Entry {
            prompt_tokens: None,
            completion_tokens: None,
            ..entry.clone()
        };
        let nobody = Entry {
            key: None,
            ..entry.clone()
        };
        let person = Entry {
            person: Some("tools".to_owned()),
            ..nobody.clone()
        };
        let tool = Entry::read(MCP).unwrap().unwrap();
        let mut totals = Totals::default();
        for entry in [&later, &entry, &entry, &untold, &tool, &nobody, &person] {
            totals.add(entry);
        }
        let mut text = Vec::new();
        totals.write(&mut text).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "month,key,person,requests,prompt_tokens,completion_tokens,untold\n\
             2026-11,,,1,7,2,0\n\
             2026-11,,tools,1,7,2,0\n\
             2026-11,tools,,4,14,4,1\n\
             2026-12,tools,,1,7,2,0\n"
        );
    }

    #[rstest::rstest]
    #[case::plain("tools", "tools")]
    #[case::comma("a,b", "\"a,b\"")]
    #[case::quotation("a\"b", "\"a\"\"b\"")]
    #[case::formula("=1+1", "'=1+1")]
    fn fields_are_quoted(#[case] field: &str, #[case] expected: &str) {
        assert_eq!(quoted(field), expected);
    }
}
