//! Which tools of a server its clients see and may call.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::object::Object;

/// `spec.tools` of an McpServer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All of them.
    All,
    /// These.
    AllowListed(BTreeSet<String>),
}

impl Policy {
    /// Whether a tool may be called.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllowListed(names) => names.contains(name),
        }
    }

    /// Whether it names this tool itself.
    #[must_use]
    pub fn lists(&self, name: &str) -> bool {
        match self {
            Self::All => false,
            Self::AllowListed(names) => names.contains(name),
        }
    }

    /// The result of `tools/list` without what nobody may call. A tool whose name cannot be read is none.
    #[must_use]
    pub fn filter(&self, mut result: Object) -> Object {
        if *self == Self::All || !result.has("tools") {
            return result;
        }
        let tools: Vec<&RawValue> = result.read("tools").unwrap_or_default();
        let allowed = |tool: &&RawValue| {
            let tool = Object::parse(tool.get().as_bytes()).ok();
            let name = tool.and_then(|tool| tool.text("name"));
            name.is_some_and(|name| self.allows(&name))
        };
        let left: Vec<Box<RawValue>> = tools
            .into_iter()
            .filter(allowed)
            .map(ToOwned::to_owned)
            .collect();
        result.put("tools", &left);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"tools":[{"name":"read","x":[1, 2]},{"name":"write"},{"name":"read","Name":"write"},7],"nextCursor":"c"}"#;

    fn filtered(policy: &Policy) -> String {
        let result = Object::parse(LIST.as_bytes()).unwrap();
        String::from_utf8(policy.filter(result).to_line()).unwrap()
    }

    #[test]
    fn what_is_not_listed_is_neither_seen_nor_called() {
        let policy = Policy::AllowListed(["read".to_owned()].into());
        assert_eq!(
            filtered(&policy),
            r#"{"tools":[{"name":"read","x":[1, 2]}],"nextCursor":"c"}"#
        );
        let calls = ["read", "write", "READ", "read "].map(|name| policy.allows(name));
        assert_eq!(calls, [true, false, false, false]);
    }

    #[test]
    fn a_list_that_is_none_becomes_an_empty_one() {
        let result = Object::parse(br#"{"tools":{"name":"write"}}"#).unwrap();
        let policy = Policy::AllowListed(BTreeSet::new());
        assert_eq!(policy.filter(result).to_line(), br#"{"tools":[]}"#);
    }

    #[test]
    fn all_pass_as_they_are() {
        assert_eq!(filtered(&Policy::All), LIST);
        assert!(Policy::All.allows("write") && !Policy::All.lists("write"));
    }
}
