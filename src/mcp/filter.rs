//! What a client without a session asks to be told of by `subscriptions/listen` (2026-07-28, Subscriptions). Pure.

use std::sync::Arc;

use super::message::TOOLS_CHANGED;
use super::object::Object;

/// The method by which a client hears of what it will be told.
pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// The method by which a server tells that a resource changed.
pub const UPDATED: &str = "notifications/resources/updated";
/// The member that names resources.
pub const RESOURCES: &str = "resourceSubscriptions";

/// The capabilities that have lists, the members that name these, and how a change of each is told.
const LISTS: [(&str, &str, &str); 3] = [
    ("tools", "toolsListChanged", TOOLS_CHANGED),
    (
        "prompts",
        "promptsListChanged",
        "notifications/prompts/list_changed",
    ),
    (
        "resources",
        "resourcesListChanged",
        "notifications/resources/list_changed",
    ),
];

/// Most resources of one request.
const MAX_URIS: usize = 64;
/// Longest name of one in bytes.
const MAX_URI: usize = 2 * 1024;
/// Most bytes of the names of one request.
const MAX_BYTES: usize = 16 * 1024;

/// Whether a change of a list is told by this method.
#[must_use]
pub fn is_of_list(method: &str) -> bool {
    LISTS.iter().any(|(.., told)| *told == method)
}

/// What is asked for, or what of it is agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    lists: Vec<&'static str>,
    /// The resources by their URIs, each once.
    pub uris: Vec<Arc<str>>,
}

impl Filter {
    /// Reads the parameters of the request. What is too much of it is left out, as what a server does not tell is.
    #[must_use]
    pub fn of(params: &Object) -> Self {
        let wanted = params.object("notifications").unwrap_or_default();
        let lists = LISTS.iter().map(|(_, name, _)| *name);
        let lists = lists.filter(|name| wanted.read(name) == Some(true));
        let named: Vec<String> = wanted.read(RESOURCES).unwrap_or_default();
        let mut filter = Self {
            lists: lists.collect(),
            uris: Vec::new(),
        };
        let mut left = MAX_BYTES;
        for uri in named {
            let fits = (1..=MAX_URI.min(left)).contains(&uri.len());
            if fits && filter.uris.len() < MAX_URIS && !filter.names(&uri) {
                left -= uri.len();
                filter.uris.push(uri.into());
            }
        }
        filter
    }

    /// All lists of which a server with these capabilities tells that they changed.
    #[must_use]
    pub fn declared(capabilities: &Object) -> Self {
        let tells = |kind: &str| {
            let kind = capabilities.object(kind).unwrap_or_default();
            kind.read("listChanged") == Some(true)
        };
        let lists = LISTS.iter().filter(|(kind, ..)| tells(kind));
        Self {
            lists: lists.map(|(_, name, _)| *name).collect(),
            uris: Vec::new(),
        }
    }

    /// Leaves out the lists of which a server does not tell.
    pub fn keep_lists(&mut self, declared: &Self) {
        self.lists.retain(|name| declared.lists.contains(name));
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.uris.is_empty()
    }

    /// Whether changes of a list that are told by this method are asked for.
    #[must_use]
    pub fn lists(&self, method: &str) -> bool {
        let mut told = LISTS.iter().filter(|(.., told)| *told == method);
        told.any(|(_, name, _)| self.lists.contains(name))
    }

    /// How all that is asked for is told, as if all of it had changed: methods and their parameters.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, Object)> {
        let uris = self.uris.iter();
        let uris = uris.map(|uri| (UPDATED, Object::default().with("uri", &**uri)));
        let lists = LISTS.iter();
        let lists = lists.filter(move |(_, name, _)| self.lists.contains(name));
        uris.chain(lists.map(|(.., told)| (*told, Object::default())))
    }

    /// Whether updates of this resource are asked for.
    #[must_use]
    pub fn names(&self, uri: &str) -> bool {
        self.uris.iter().any(|named| **named == *uri)
    }

    /// Whether the parameters of an acknowledgment name all resources that are asked for.
    #[must_use]
    pub fn is_agreed(&self, params: &Object) -> bool {
        let agreed = params.object("notifications").unwrap_or_default();
        let named: Vec<String> = agreed.read(RESOURCES).unwrap_or_default();
        let mut uris = self.uris.iter();
        uris.all(|uri| named.iter().any(|named| **named == **uri))
    }

    /// As the request and the acknowledgment say it. What is not agreed on is not in this.
    #[must_use]
    pub fn acknowledged(&self) -> Object {
        let lists = self.lists.iter();
        let said = lists.fold(Object::default(), |said, name| said.with(name, &true));
        if self.uris.is_empty() {
            return said;
        }
        let uris: Vec<&str> = self.uris.iter().map(|uri| &**uri).collect();
        said.with(RESOURCES, &uris)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(notifications: &str) -> Filter {
        let params = format!(r#"{{"notifications":{notifications}}}"#);
        Filter::of(&Object::parse(params.as_bytes()).unwrap())
    }

    #[rstest::rstest]
    #[case::nothing("{}", "{}")]
    #[case::lists(
        r#"{"resourcesListChanged":true,"promptsListChanged":false,"toolsListChanged":true}"#,
        r#"{"toolsListChanged":true,"resourcesListChanged":true}"#
    )]
    #[case::resources(
        r#"{"promptsListChanged":true,"resourceSubscriptions":["file:///a","b"]}"#,
        r#"{"promptsListChanged":true,"resourceSubscriptions":["file:///a","b"]}"#
    )]
    #[case::each_once(
        r#"{"resourceSubscriptions":["a","b","a","\u0061",""]}"#,
        r#"{"resourceSubscriptions":["a","b"]}"#
    )]
    #[case::none_left(r#"{"resourceSubscriptions":[]}"#, "{}")]
    #[case::no_list(r#"{"resourceSubscriptions":"a"}"#, "{}")]
    #[case::no_text(r#"{"resourceSubscriptions":["a",7]}"#, "{}")]
    #[case::unknown(r#"{"taskIds":["a"],"toolsListChanged":1}"#, "{}")]
    #[case::no_object("7", "{}")]
    fn what_is_asked_for_is_acknowledged(#[case] asked: &str, #[case] said: &str) {
        let said_here = of(asked).acknowledged().to_line();
        assert_eq!(String::from_utf8(said_here).unwrap(), said);
    }

    #[rstest::rstest]
    #[case::as_long_as_may_be(vec!["x".repeat(MAX_URI)], 1)]
    #[case::longer(vec!["x".repeat(MAX_URI + 1), "a".to_owned()], 1)]
    #[case::many((0..100).map(|number| number.to_string()).collect(), MAX_URIS)]
    #[case::much((0..20).map(|number| format!("{number:02}{}", "x".repeat(MAX_URI - 2))).collect(), MAX_BYTES / MAX_URI)]
    fn what_is_too_much_is_left_out(#[case] uris: Vec<String>, #[case] left: usize) {
        let asked = serde_json::json!({ RESOURCES: uris }).to_string();
        assert_eq!(of(&asked).uris.len(), left);
    }

    #[rstest::rstest]
    #[case::all(
        r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true}}"#,
        r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a"]}"#
    )]
    #[case::one(
        r#"{"tools":{"listChanged":false},"prompts":{"listChanged":true}}"#,
        r#"{"promptsListChanged":true,"resourceSubscriptions":["a"]}"#
    )]
    #[case::none(r#"{"tools":{},"prompts":7}"#, r#"{"resourceSubscriptions":["a"]}"#)]
    fn lists_of_which_a_server_does_not_tell_are_left_out(
        #[case] capabilities: &str,
        #[case] said: &str,
    ) {
        let mut filter = of(
            r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a"]}"#,
        );
        let capabilities = Object::parse(capabilities.as_bytes()).unwrap();
        filter.keep_lists(&Filter::declared(&capabilities));
        let said_here = filter.acknowledged().to_line();
        assert_eq!(String::from_utf8(said_here).unwrap(), said);
    }

    #[rstest::rstest]
    #[case::all(r#"{"notifications":{"resourceSubscriptions":["b","a"]}}"#, true)]
    #[case::one(r#"{"notifications":{"resourceSubscriptions":["b"]}}"#, false)]
    #[case::of_lists_alone(r#"{"notifications":{"toolsListChanged":true}}"#, false)]
    #[case::nothing("{}", false)]
    fn an_acknowledgment_names_all_resources(#[case] params: &str, #[case] agreed: bool) {
        let params = Object::parse(params.as_bytes()).unwrap();
        let wanted = of(r#"{"toolsListChanged":true,"resourceSubscriptions":["a","b"]}"#);
        assert_eq!(wanted.is_agreed(&params), agreed);
        assert!(of(r#"{"toolsListChanged":true}"#).is_agreed(&params));
    }

    #[test]
    fn all_that_was_asked_for_may_have_changed() {
        let filter = of(r#"{"toolsListChanged":true,"resourceSubscriptions":["a"]}"#);
        let all = filter.all().map(|(method, params)| {
            let uri = params.text("uri").unwrap_or_default();
            format!("{method} {uri}")
        });
        let all: Vec<_> = all.collect();
        assert_eq!(all, [format!("{UPDATED} a"), format!("{TOOLS_CHANGED} ")]);
    }

    #[test]
    fn only_what_was_asked_for_is_told() {
        let filter = of(r#"{"toolsListChanged":true,"resourceSubscriptions":["file:///a"]}"#);
        assert!(filter.lists(TOOLS_CHANGED));
        for other in ["notifications/prompts/list_changed", UPDATED, ""] {
            assert!(!filter.lists(other), "{other}");
        }
        assert!(filter.names("file:///a"));
        for other in ["file:///", "file:///a/", "file:///A", ""] {
            assert!(!filter.names(other), "{other}");
        }
    }
}
