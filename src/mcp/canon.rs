//! Canonical JSON (RFC 8785): one text for all that mean the same.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value in which no name comes twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as RFC 8785 reads it.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object: members by the UTF-16 units of their names (RFC 8785, section 3.2.3).
    Object(BTreeMap<Vec<u16>, (String, Self)>),
}

impl Json {
    /// The canonical text.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Null => to.push_str("null"),
            Self::Bool(true) => to.push_str("true"),
            Self::Bool(false) => to.push_str("false"),
            Self::Number(number) => to.push_str(&number_text(*number)),
            Self::Text(text) => quoted(text, to),
            Self::List(items) => {
                to.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        to.push(',');
                    }
                    item.write(to);
                }
                to.push(']');
            }
            Self::Object(members) => {
                to.push('{');
                for (at, (name, value)) in members.values().enumerate() {
                    if at > 0 {
                        to.push(',');
                    }
                    quoted(name, to);
                    to.push(':');
                    value.write(to);
                }
                to.push('}');
            }
        }
    }

    /// The names of an object's members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let members = match self {
            Self::Object(members) => Some(members),
            _ => None,
        };
        members
            .into_iter()
            .flat_map(|all| all.values().map(|(name, _)| name.as_str()))
    }

    /// A member of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let key: Vec<u16> = name.encode_utf16().collect();
        members.get(&key).map(|(_, value)| value)
    }
}

/// serde_json escapes as section 3.2.2.2 asks: nothing but what must be.
fn quoted(text: &str, to: &mut String) {
    to.push_str(&serde_json::Value::from(text).to_string());
}

/// `Number::toString` of ECMAScript (RFC 8785, section 3.2.2.3), out of the shortest digits.
fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{:e}", number.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = digits.replace('.', "");
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let mut out = if number < 0.0 { "-" } else { "" }.to_owned();
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    match point {
        _ if (count..=21).contains(&point) => {
            out += &digits;
            out += &zeros(point - count);
        }
        1..=21 => {
            let (whole, rest) = digits.split_at(usize::try_from(point).unwrap_or(0));
            let _ = write!(out, "{whole}.{rest}");
        }
        -5..=0 => {
            let _ = write!(out, "0.{}{digits}", zeros(-point));
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            let _ = write!(out, "{first}{dot}{rest}e{:+}", point - 1);
        }
    }
    out
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // Borrowed: a copy at each level would take the text's length as often as it is nested.
        let raw = <&RawValue>::deserialize(from)?;
        Self::of(raw.get()).map_err(D::Error::custom)
    }
}

impl Json {
    /// Reads a value, by its first byte. Numbers are read by the standard library, which rounds as IEEE 754 asks.
    fn of(text: &str) -> Result<Self, serde_json::Error> {
        match text.as_bytes().first() {
            Some(b'{') => {
                serde_json::from_str::<Members>(text).map(|members| Self::Object(members.0))
            }
            Some(b'[') => serde_json::from_str(text).map(Self::List),
            Some(b'"') => serde_json::from_str(text).map(Self::Text),
            Some(b't' | b'f') => serde_json::from_str(text).map(Self::Bool),
            Some(b'n') => serde_json::from_str::<()>(text).map(|()| Self::Null),
            _ => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Self::Number(number)),
                _ => Err(serde_json::Error::custom("no number that can be written")),
            },
        }
    }
}

struct Members(BTreeMap<Vec<u16>, (String, Json)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OnlyOnce)
    }
}

struct OnlyOnce;

impl<'de> Visitor<'de> for OnlyOnce {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object in which no name comes twice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            let key = name.encode_utf16().collect();
            if members.insert(key, (name, value)).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        serde_json::from_str::<Json>(text).unwrap().canonical()
    }

    /// RFC 8785, appendix B.
    #[rstest::rstest]
    #[case(0x0000_0000_0000_0000, "0")]
    #[case(0x8000_0000_0000_0000, "0")]
    #[case(0x0000_0000_0000_0001, "5e-324")]
    #[case(0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308")]
    #[case(0x4340_0000_0000_0000, "9007199254740992")]
    #[case(0x4430_0000_0000_0000, "295147905179352830000")]
    #[case(0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22")]
    #[case(0x44b5_2d02_c7e1_4af6, "1e+23")]
    #[case(0x444b_1ae4_d6e2_ef4e, "999999999999999700000")]
    #[case(0x444b_1ae4_d6e2_ef50, "1e+21")]
    #[case(0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7")]
    #[case(0x3eb0_c6f7_a0b5_ed8d, "0.000001")]
    #[case(0x41b3_de43_5555_5553, "333333333.3333332")]
    #[case(0xbecb_f647_612f_3696, "-0.0000033333333333333333")]
    fn numbers_of_the_rfc(#[case] bits: u64, #[case] text: &str) {
        assert_eq!(number_text(f64::from_bits(bits)), text);
    }

    /// RFC 8785, sections 3.2.2 and 3.2.3.
    #[test]
    fn the_rfcs_examples() {
        let text = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let expected = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(canonical(text), expected);
        let sorted = canonical(
            r#"{"\u20ac":"Euro","\r":"CR","\ufb33":"Dalet","1":"One","\ud83d\ude00":"Smiley","\u0080":"Control","\u00f6":"o"}"#,
        );
        let order = ["CR", "One", "Control", "\"o\"", "Euro", "Smiley", "Dalet"];
        let places: Vec<_> = order.map(|name| sorted.find(name).unwrap()).to_vec();
        assert!(places.is_sorted(), "{sorted}");
    }

    #[test]
    fn a_name_comes_once() {
        assert!(serde_json::from_str::<Json>(r#"{"a":{"b":1,"\u0062":2}}"#).is_err());
        assert_eq!(canonical(r#"{"b":1.0,"B":[ 1 ]}"#), r#"{"B":[1],"b":1}"#);
    }
}
