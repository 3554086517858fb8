//! Parameters of tools that clients repeat in header fields (2026-07-28, Custom Headers from Tool Parameters).

use serde_json::value::RawValue;

use super::canon::Json;
use super::object::Object;

/// Deepest chain of properties that is followed.
const MAX_CHAIN: usize = 16;

/// A parameter that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotated {
    /// The field is `Mcp-Param-` and this.
    pub header: String,
    /// The properties that lead to it.
    path: Vec<String>,
}

impl Annotated {
    /// The name of the header field, in lower case as HTTP/2 writes it.
    #[must_use]
    pub fn field(&self) -> String {
        format!("mcp-param-{}", self.header.to_ascii_lowercase())
    }

    /// What the arguments of a call have there; null and nothing are the same. Only the way to it is read: a tree of
    /// all arguments would take many times their length.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn value(&self, arguments: &str) -> Result<Option<Json>, Unreadable> {
        let Some((last, way)) = self.path.split_last() else {
            return Ok(None);
        };
        let mut at = Object::parse(arguments.as_bytes()).map_err(|_| Unreadable)?;
        for name in way {
            if !at.has(name) {
                return Ok(None);
            }
            at = at.object(name).ok_or(Unreadable)?;
        }
        match at.get(last).map(RawValue::get) {
            None | Some("null") => Ok(None),
            Some(text) if text.starts_with(['{', '[']) => Err(Unreadable),
            Some(text) => serde_json::from_str(text).map_err(|_| Unreadable),
        }
    }
}

/// No object in which every name comes once leads to the parameter, or it is no single value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the arguments cannot be read")]
pub struct Unreadable;

/// The annotations of a tool's `inputSchema`: those that a chain of `properties` leads to.
#[must_use]
pub fn annotated(schema: &Json) -> Vec<Annotated> {
    let mut found = Vec::new();
    follow(schema, &mut Vec::new(), &mut found);
    found
}

fn follow(schema: &Json, path: &mut Vec<String>, found: &mut Vec<Annotated>) {
    if path.len() >= MAX_CHAIN {
        return;
    }
    let Some(Json::Object(properties)) = schema.get("properties") else {
        return;
    };
    for (name, property) in properties.values() {
        path.push(name.clone());
        if let Some(Json::Text(header)) = property.get("x-mcp-header") {
            let (header, path) = (header.clone(), path.clone());
            found.push(Annotated { header, path });
        }
        follow(property, path, found);
        path.pop();
    }
}

/// Whether a field's text is what `value` is written as.
#[must_use]
pub fn shown(value: &Json, text: &str) -> bool {
    match value {
        Json::Text(own) => own == text,
        Json::Bool(own) => text == if *own { "true" } else { "false" },
        Json::Number(own) => text.trim() == text && text.parse() == Ok(*own),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"properties":{"region":{"type":"string","x-mcp-header":"Region"},"where":{"properties":{"zone":{"x-mcp-header":"Zone"}}},"list":{"items":{"properties":{"no":{"x-mcp-header":"No"}}}}}}"#;

    #[test]
    fn annotations_are_found_and_read() {
        let all = annotated(&serde_json::from_str(SCHEMA).unwrap());
        let names: Vec<_> = all.iter().map(|one| one.header.as_str()).collect();
        assert_eq!(names, ["Region", "Zone"]);
        let arguments = r#"{"where":{"zone":7},"region":null}"#;
        assert_eq!(all[0].value(arguments), Ok(None));
        assert_eq!(all[1].value(arguments), Ok(Some(Json::Number(7.0))));
    }

    #[rstest::rstest]
    #[case::what_is_beside_it_does_not_count(r#"{"region":"eu","x":{"a":1,"a":2}}"#, Ok(Some(Json::Text("eu".to_owned()))))]
    #[case::nothing("{}", Ok(None))]
    #[case::twice(r#"{"region":"eu","region":"us"}"#, Err(Unreadable))]
    #[case::no_single_value(r#"{"region":["eu"]}"#, Err(Unreadable))]
    #[case::no_object("[]", Err(Unreadable))]
    fn only_what_is_repeated_is_read(
        #[case] arguments: &str,
        #[case] value: Result<Option<Json>, Unreadable>,
    ) {
        let all = annotated(&serde_json::from_str(SCHEMA).unwrap());
        assert_eq!(all[0].value(arguments), value);
    }

    #[rstest::rstest]
    #[case(Json::Text("a".to_owned()), "a", true)]
    #[case(Json::Text("a".to_owned()), "A", false)]
    #[case(Json::Bool(true), "true", true)]
    #[case(Json::Number(42.0), "42.0", true)]
    #[case(Json::Number(42.0), "43", false)]
    #[case(Json::List(Vec::new()), "[]", false)]
    fn values_as_fields(#[case] value: Json, #[case] text: &str, #[case] same: bool) {
        assert_eq!(shown(&value, text), same);
    }
}
