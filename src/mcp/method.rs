//! Which methods there are: as labels, and by what they name.

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

    #[test]
    fn labels_are_found() {
        assert!(KNOWN.is_sorted());
        for name in KNOWN {
            assert_eq!(label(name), name);
        }
        assert_eq!(label("tools/evil"), "other");
    }
}
