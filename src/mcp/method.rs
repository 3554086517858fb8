//! Which methods there are: as labels, and by what they name.

use super::object::is_disguised;

/// The methods that metrics and the audit name; everything else is `other`.
const KNOWN: [&str; 26] = [
    "completion/complete",
    "elicitation/create",
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "roots/list",
    "sampling/createMessage",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tools/call",
    "tools/list",
];

/// The method as a label: never a text of the client.
#[must_use]
pub fn label(method: &str) -> &'static str {
    let found = KNOWN.binary_search(&method).ok();
    found.map_or("other", |at| KNOWN[at])
}

/// The methods by which tools are seen and called: both are looked at.
const OF_TOOLS: [&str; 2] = ["tools/call", "tools/list"];

/// Whether a reader who takes any case, or spaces around a name, finds such a method where others find none.
#[must_use]
pub fn is_of_tools_disguised(method: &str) -> bool {
    !OF_TOOLS.contains(&method)
        && (OF_TOOLS.contains(&method.trim()) || is_disguised(method.trim(), &OF_TOOLS))
}

/// The member of the parameters that `Mcp-Name` repeats (2026-07-28, Standard Request Headers).
#[must_use]
pub fn names(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        _ => None,
    }
}

/// Whether results carry `ttlMs` and `cacheScope` (2026-07-28, Caching).
#[must_use]
pub fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

/// Whether its answer may be that input is required (2026-07-28, Multi Round-Trip Requests, Supported Requests).
#[must_use]
pub fn may_ask(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// Methods that ended with the sessions (2026-07-28, changelog).
#[must_use]
pub fn is_legacy_only(method: &str) -> bool {
    matches!(
        method,
        "initialize"
            | "ping"
            | "logging/setLevel"
            | "resources/subscribe"
            | "resources/unsubscribe"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::as_it_is("tools/call", false)]
    #[case::another_one("resources/list", false)]
    #[case::longer("tools/callers", false)]
    #[case::other_case("Tools/Call", true)]
    #[case::spaces("tools/call ", true)]
    #[case::a_line("\ttools/list\n", true)]
    #[case::both(" TOOLS/LIST", true)]
    #[case::long_s("tool\u{17f}/call", true)]
    fn methods_of_tools_have_one_way_to_be_written(#[case] method: &str, #[case] disguised: bool) {
        assert_eq!(is_of_tools_disguised(method), disguised);
    }

    #[test]
    fn labels_are_found() {
        assert!(KNOWN.is_sorted());
        for name in KNOWN {
            assert_eq!(label(name), name);
        }
        assert_eq!(label("tools/evil"), "other");
    }
}
