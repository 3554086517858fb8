//! A JSON object whose members keep their order and their text.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// Most members: each takes many times what a short one has as text.
const MAX_MEMBERS: usize = 1024;

/// An object. Each member's value is the text that was sent.
///
/// Two members of one name, whatever their case, make it malformed: a filter here and a reader behind it (Go's
/// `encoding/json` takes any case, and the last) could each see another one.
#[derive(Clone, Debug, Default)]
pub struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// Reads one.
    ///
    /// # Errors
    /// It is no object, or a name comes twice.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// A member's text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        let found = self.0.iter().find(|(member, _)| member == name);
        found.map(|(_, value)| &**value)
    }

    /// A member that can be read as `T`.
    #[must_use]
    pub fn read<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// A member that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.read(name)
    }

    /// A member that is an object itself.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Self> {
        self.read(name)
    }

    /// Whether there is a member of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All members.
    pub fn members(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// Whether it has no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a member, in its place if it is there already.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(member, _)| member == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Sets a member to what `value` is as JSON.
    pub fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        if let Ok(raw) = to_raw_value(value) {
            self.set(name, raw);
        }
    }

    /// With a member set.
    #[must_use]
    pub fn with(mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Self {
        self.put(name, value);
        self
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.remove(at).1)
    }

    /// As text without a line break: JSON has none but between its tokens.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).unwrap_or_default();
        for byte in &mut text {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        text
    }
}

/// A name as a reader sees it who takes any case: by the simple folding of Unicode, in which `ſ` is an s and the sign of
/// Kelvin a k.
#[must_use]
pub fn folded(name: &str) -> String {
    name.to_lowercase().to_uppercase()
}

/// Whether `name` is one of `known` to such a reader, and none of them to others.
#[must_use]
pub fn is_disguised(name: &str, known: &[&str]) -> bool {
    !known.contains(&name) && {
        let name = folded(name);
        known.iter().any(|known| folded(known) == name)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object in which no name comes twice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if !seen.insert(folded(&name)) {
                return Err(A::Error::custom("a name comes twice"));
            }
            if members.len() >= MAX_MEMBERS {
                return Err(A::Error::custom("there are too many members"));
            }
            members.push((name, value));
        }
        Ok(Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asks_for_stays_as_it_was() {
        let text = r#"{"z":1.0e2,"a":{"b" :[1, 2]},"id":7}"#;
        let mut object = Object::parse(text.as_bytes()).unwrap();
        object.put("id", "x");
        let line = String::from_utf8(object.to_line()).unwrap();
        assert_eq!(line, r#"{"z":1.0e2,"a":{"b" :[1, 2]},"id":"x"}"#);
    }

    #[test]
    fn members_are_bounded_in_number() {
        let text = |count: usize| {
            let members: Vec<_> = (0..count).map(|n| format!("\"m{n}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(Object::parse(text(MAX_MEMBERS).as_bytes()).is_ok());
        assert!(Object::parse(text(MAX_MEMBERS + 1).as_bytes()).is_err());
    }

    #[test]
    fn a_line_is_one_line() {
        let object = Object::parse(b"{\n\"a\":{\r\n\"b\":\"x\\ny\"}}").unwrap();
        let line = String::from_utf8(object.to_line()).unwrap();
        assert!(!line.contains(['\n', '\r']), "{line}");
        let again: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(again["a"]["b"], "x\ny");
    }

    #[rstest::rstest]
    #[case::twice(r#"{"name":"read","name":"write"}"#)]
    #[case::escaped(r#"{"name":"read","n\u0061me":"write"}"#)]
    #[case::other_case(r#"{"name":"read","Name":"write"}"#)]
    #[case::long_s(r#"{"params":1,"param\u017f":2}"#)]
    #[case::kelvin(r#"{"token":1,"to\u212aen":2}"#)]
    #[case::list(r#"["name"]"#)]
    #[case::half(r#"{"name":"#)]
    #[case::more(r#"{"a":1}{"a":1}"#)]
    #[case::empty("")]
    fn what_could_be_read_otherwise_is_refused(#[case] text: &str) {
        assert!(Object::parse(text.as_bytes()).is_err(), "{text}");
    }
}
