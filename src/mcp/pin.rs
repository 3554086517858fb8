//! The pin: one hash over what a server's tools say of themselves.
//!
//! A tool's description is an instruction to the model that reads it, so a server that changes one later changes what
//! its clients do. The hash is SHA-256 over the canonical JSON (RFC 8785) of the list, sorted by name, of each tool's
//! `name`, `description`, `inputSchema`, `outputSchema`, `annotations` and `title`, as far as it has them.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::canon::Json;
use super::depth;
use super::hash::Hash;
use super::object::is_disguised;
use super::params::{Annotated, annotated};

pub use super::changes::printable;

/// What of a tool counts.
pub(super) const MEMBERS: [&str; 6] = [
    "name",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
    "title",
];
/// Most tools that are read.
pub const MAX_TOOLS: usize = 4096;
/// Longest text of a page of tools in bytes: read, it takes many times as much.
const MAX_PAGE: usize = 1024 * 1024;

/// The tools that a server offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory(pub(super) BTreeMap<String, Tool>);

/// What of a tool is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tool {
    /// The canonical text of each member that counts.
    pub(super) said: BTreeMap<&'static str, String>,
    /// What clients repeat in header fields.
    annotated: Vec<Annotated>,
}

/// Why there is no list of tools.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoInventory {
    /// `tools/list` gave an error. That says nothing of the tools: it may give a list the next time.
    #[error("tools/list gave an error")]
    Refused,
    /// Not what `tools/list` gives: a server that says this cannot be pinned.
    #[error("failed to read the tools: {0}")]
    Form(&'static str),
}

impl Inventory {
    /// Takes what one page of `tools/list` has in `tools`.
    ///
    /// # Errors
    /// It is no list of objects with names, a name comes twice, or there are too many.
    pub fn add(&mut self, tools: &str) -> Result<(), NoInventory> {
        let form = |why| Err(NoInventory::Form(why));
        if tools.len() > MAX_PAGE {
            return form("a page of them is too long");
        }
        if !depth::within(tools.as_bytes(), depth::MAX) {
            return form("they are nested too deep");
        }
        let Ok(Json::List(tools)) = serde_json::from_str(tools) else {
            return form("no list in which every name of a member comes once");
        };
        for tool in tools {
            if tool.names().any(|name| is_disguised(name, &MEMBERS)) {
                return form("a member of a tool has its name in another case");
            }
            let Some(Json::Text(name)) = tool.get("name") else {
                return form("a tool has no name");
            };
            let members = MEMBERS.into_iter();
            let said = members.filter_map(|member| Some((member, tool.get(member)?.canonical())));
            let tool = Tool {
                said: said.collect(),
                annotated: tool.get("inputSchema").map(annotated).unwrap_or_default(),
            };
            if self.0.insert(name.clone(), tool).is_some() {
                return form("two tools have one name");
            }
            if self.0.len() > MAX_TOOLS {
                return form("there are too many");
            }
        }
        Ok(())
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What clients repeat of the arguments of the tool of that name.
    #[must_use]
    pub fn annotated(&self, name: &str) -> Vec<Annotated> {
        let tool = self.0.get(name);
        tool.map(|tool| tool.annotated.clone()).unwrap_or_default()
    }

    /// Whether there is one of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What a pin is compared with.
    #[must_use]
    pub fn hash(&self) -> Hash {
        // Sorted by name as RFC 8785 sorts members.
        let mut tools: Vec<_> = self.0.iter().collect();
        tools.sort_by_cached_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
        let mut hash = Sha256::new();
        hash.update("[");
        for (at, (_, tool)) in tools.into_iter().enumerate() {
            if at > 0 {
                hash.update(",");
            }
            let members: Vec<_> = tool
                .said
                .iter()
                .map(|(member, text)| format!("\"{member}\":{text}"))
                .collect();
            hash.update(format!("{{{}}}", members.join(",")));
        }
        hash.update("]");
        Hash(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(tools: &str) -> Inventory {
        let mut inventory = Inventory::default();
        inventory.add(tools).unwrap();
        inventory
    }

    const TWO: &str = r#"[{"name":"b","inputSchema":{"type":"object"},"_meta":{"x":1}},{"description":"d","name":"a","inputSchema":{"type":"object","properties":{"n":{"maximum":1.0}}}}]"#;

    #[test]
    fn the_hash_is_over_the_text_that_anybody_can_make() {
        let text = r#"[{"description":"d","inputSchema":{"properties":{"n":{"maximum":1}},"type":"object"},"name":"a"},{"inputSchema":{"type":"object"},"name":"b"}]"#;
        let expected = Hash(Sha256::digest(text).into());
        assert_eq!(inventory(TWO).hash(), expected);
        assert_eq!(expected.to_string().parse(), Ok(expected));
    }

    #[rstest::rstest]
    #[case::order(r#"[{"inputSchema":{"properties":{"n":{"maximum":1}},"type":"object"},"name":"a","description":"d"},{"name":"b","inputSchema":{"type":"object"}}]"#, true)]
    #[case::description(&TWO.replace("\"d\"", "\"d \""), false)]
    #[case::schema(&TWO.replace("maximum\":1.0", "maximum\":2"), false)]
    #[case::annotation(&TWO.replace("\"name\":\"b\"", "\"name\":\"b\",\"annotations\":{}"), false)]
    #[case::title(&TWO.replace("\"name\":\"b\"", "\"name\":\"b\",\"title\":\"t\""), false)]
    #[case::output(&TWO.replace("\"name\":\"b\"", "\"name\":\"b\",\"outputSchema\":{}"), false)]
    #[case::empty_is_not_absent(&TWO.replace("\"name\":\"b\"", "\"name\":\"b\",\"description\":\"\""), false)]
    #[case::other_name(&TWO.replace("\"name\":\"b\"", "\"name\":\"c\""), false)]
    #[case::one_less(r#"[{"name":"b","inputSchema":{"type":"object"}}]"#, false)]
    fn only_what_counts_counts(#[case] tools: &str, #[case] same: bool) {
        assert_eq!(inventory(tools).hash() == inventory(TWO).hash(), same);
    }

    #[test]
    fn pages_are_one_list() {
        let mut paged = inventory(r#"[{"name":"b","inputSchema":{"type":"object"}}]"#);
        paged
            .add(r#"[{"name":"a","description":"d","inputSchema":{"type":"object","properties":{"n":{"maximum":1}}}}]"#)
            .unwrap();
        assert_eq!(paged.hash(), inventory(TWO).hash());
    }

    #[rstest::rstest]
    #[case::no_list("{}")]
    #[case::long(&format!(r#"[{{"name":"a","description":"{}"}}]"#, "x".repeat(MAX_PAGE)))]
    #[case::no_name("[{}]")]
    #[case::twice(r#"[{"name":"a"},{"name":"a"}]"#)]
    #[case::disguised(r#"[{"name":"a","description":"x","Description":"y"}]"#)]
    #[case::two_descriptions(r#"[{"name":"a","description":"x","description":"y"}]"#)]
    fn what_can_be_read_in_two_ways_or_is_too_much_is_refused(#[case] tools: &str) {
        assert!(Inventory::default().add(tools).is_err());
    }
}
