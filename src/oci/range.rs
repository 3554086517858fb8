//! `Content-Range`.

/// `bytes FIRST-LAST/COMPLETE` of a 206 (RFC 9110, section 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub first: u64,
    pub last: u64,
    /// `None` where the server wrote `*`.
    pub complete: Option<u64>,
}

fn number(text: &str) -> Option<u64> {
    // `parse` alone would take a leading plus.
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Reads the header's value; `None` for anything but a satisfied byte range that fits its whole.
pub(super) fn parse(header: &str) -> Option<ContentRange> {
    let (range, complete) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let range = ContentRange {
        first: number(first)?,
        last: number(last)?,
        complete: if complete == "*" {
            None
        } else {
            Some(number(complete)?)
        },
    };
    let ordered = range.first <= range.last;
    let inside = range.complete.is_none_or(|complete| range.last < complete);
    (ordered && inside).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("bytes 0-9/10", Some((0, 9, Some(10))))]
    #[case("bytes 5-9/*", Some((5, 9, None)))]
    #[case("bytes 9-5/10", None)]
    #[case("bytes 0-10/10", None)]
    #[case("bytes */10", None)]
    #[case("bytes +1-9/10", None)]
    #[case("bytes 0-99999999999999999999/*", None)]
    #[case("items 0-9/10", None)]
    #[case("", None)]
    fn reads(#[case] header: &str, #[case] expected: Option<(u64, u64, Option<u64>)>) {
        let parsed = parse(header).map(|r| (r.first, r.last, r.complete));
        assert_eq!(parsed, expected);
    }
}
