//! The id of a request.

use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Longest id in bytes.
pub(super) const MAX_ID: usize = 256;

/// The id of a request, as the text that was sent: a string or a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id(String);

impl Id {
    /// Reads an id; `None` where it is too long, or neither a string nor a number.
    #[must_use]
    pub fn parse(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        let first = text.bytes().next()?;
        let kind = matches!(first, b'"' | b'-' | b'0'..=b'9');
        (kind && text.len() <= MAX_ID).then(|| Self(text.to_owned()))
    }

    /// Of the gate's own numbers.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self(number.to_string())
    }

    /// A text of the gate's own.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string())
    }

    /// The number, where it can be one of the gate's own: also as the text or the fraction that some implementations
    /// give back in its place. Official clients take these for the number, too, and nothing else is ever sent.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        let text = self.0.as_str();
        let text = (text.strip_prefix('"'))
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        let whole = match text.split_once('.') {
            Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
            _ => text,
        };
        whole.parse().ok()
    }

    /// Whether it is the other one to a reader, who may take a number's text for it.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let text = |id: &Self| serde_json::from_str::<String>(&id.0).ok();
        let number = self.as_number();
        self == other
            || number.is_some_and(|number| other.as_number() == Some(number))
            || text(self).is_some_and(|written| text(other) == Some(written))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::as_it_was("7", Some(7))]
    #[case::text(r#""7""#, Some(7))]
    #[case::fraction("7.0", Some(7))]
    #[case::fraction_as_text(r#""7.00""#, Some(7))]
    #[case::another_number("7.5", None)]
    #[case::negative("-7", None)]
    #[case::nothing(r#""""#, None)]
    #[case::a_word(r#""q-7""#, None)]
    #[case::too_large("18446744073709551616", None)]
    fn a_number_of_the_gates_own_is_known_however_it_comes_back(
        #[case] text: &str,
        #[case] number: Option<u64>,
    ) {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        assert_eq!(Id::parse(raw).unwrap().as_number(), number);
    }

    #[rstest::rstest]
    #[case::as_it_was("-7", "-7", true)]
    #[case::fraction("7", "7.0", true)]
    #[case::number_as_text(r#""7""#, "7", true)]
    #[case::escaped(r#""é""#, r#""\u00e9""#, true)]
    #[case::slash(r#""a/b""#, r#""a\/b""#, true)]
    #[case::another_number("7", "8", false)]
    #[case::another_text(r#""a""#, r#""b""#, false)]
    #[case::another_kind(r#""a""#, "7", false)]
    fn an_id_is_the_same_however_it_is_written(
        #[case] one: &str,
        #[case] other: &str,
        #[case] same: bool,
    ) {
        let id = |text| Id::parse(serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(id(one).is(&id(other)), same);
        assert_eq!(id(other).is(&id(one)), same);
    }
}
