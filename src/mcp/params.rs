//! Parameters of tools that clients repeat in header fields (2026-07-28, Custom Headers from Tool Parameters).

use super::canon::Json;

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
    /// What the arguments of a call have there; null and nothing are the same.
    #[must_use]
    pub fn value(&self, arguments: &str) -> Option<Json> {
        let arguments: Json = serde_json::from_str(arguments).ok()?;
        let mut at = &arguments;
        for name in &self.path {
            at = at.get(name)?;
        }
        Some(at.clone()).filter(|value| *value != Json::Null)
    }
}

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
        assert_eq!(all[0].value(arguments), None);
        assert_eq!(all[1].value(arguments), Some(Json::Number(7.0)));
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
