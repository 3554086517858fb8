//! What differs between the eras, in both directions. Everything else passes as it came.

use serde_json::json;
use serde_json::value::RawValue;

use super::era::{MODERN, Version};
use super::error::{INVALID_PARAMS, NO_RESOURCE};
use super::method;
use super::object::Object;

/// What all keys of the protocol in `_meta` begin with.
pub const PREFIX: &str = "io.modelcontextprotocol/";
/// The revision of a request.
pub const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Who asks.
pub const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
/// What may be asked back.
pub const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// From which level on a request's log is wanted.
pub const LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Who answers.
pub const SERVER: &str = "io.modelcontextprotocol/serverInfo";
/// To which subscription a notification belongs.
pub const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What a legacy client said of itself once, and a modern one says with each request.
#[derive(Clone, Debug, Default)]
pub struct ClientSaid {
    /// `clientInfo`
    pub info: Option<Box<RawValue>>,
    /// `capabilities`
    pub capabilities: Option<Box<RawValue>>,
    /// The level of `logging/setLevel`.
    pub level: Option<Box<RawValue>>,
}

impl ClientSaid {
    /// Out of the parameters of `initialize`.
    #[must_use]
    pub fn of(initialize: &Object) -> Self {
        let member = |name| initialize.get(name).map(ToOwned::to_owned);
        Self {
            info: member("clientInfo"),
            capabilities: member("capabilities"),
            level: None,
        }
    }

    /// How much that is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let all = [&self.info, &self.capabilities, &self.level];
        all.into_iter().flatten().map(|said| said.get().len()).sum()
    }

    /// A legacy request's parameters as a modern one has them.
    #[must_use]
    pub fn to_modern(&self, params: Object) -> Object {
        let mut meta = params.object("_meta").unwrap_or_default();
        meta.put(VERSION, MODERN);
        match &self.capabilities {
            Some(capabilities) => meta.set(CAPABILITIES, capabilities.clone()),
            None => meta.put(CAPABILITIES, &json!({})),
        }
        for (name, value) in [(CLIENT, &self.info), (LEVEL, &self.level)] {
            if let Some(value) = value {
                meta.set(name, value.clone());
            }
        }
        params.with("_meta", &meta)
    }
}

/// A modern request's parameters as a legacy one has them.
#[must_use]
pub fn to_legacy(mut params: Object) -> Object {
    if let Some(mut meta) = params.object("_meta") {
        for name in [VERSION, CLIENT, CAPABILITIES, LEVEL] {
            meta.remove(name);
        }
        if meta.is_empty() {
            params.remove("_meta");
        } else {
            params.put("_meta", &meta);
        }
    }
    params
}

/// A legacy server's result as a modern client reads it. Nobody may keep it: the server said nothing about that.
#[must_use]
pub fn modern_result(method: &str, result: Object, server: Option<&Object>) -> Object {
    let mut result = result;
    if !result.has("resultType") {
        result.put("resultType", "complete");
    }
    if method::is_cacheable(method) {
        if !result.has("ttlMs") {
            result.put("ttlMs", &0);
        }
        if !result.has("cacheScope") {
            result.put("cacheScope", "private");
        }
    }
    let mut meta = result.object("_meta").unwrap_or_default();
    if let Some(server) = server
        && !meta.has(SERVER)
    {
        meta.put(SERVER, server);
        result.put("_meta", &meta);
    }
    result
}

/// A legacy server's error as a modern client reads it (2026-07-28, changelog: resource not found).
#[must_use]
pub fn modern_error(mut error: Object) -> Object {
    if error.read::<i64>("code") == Some(NO_RESOURCE) {
        error.put("code", &INVALID_PARAMS);
    }
    error
}

/// The result of `server/discover`, out of that of `initialize`.
#[must_use]
pub fn discover_result(initialize: &Object) -> Object {
    let mut result = Object::default()
        .with("supportedVersions", &Version::all())
        .with(
            "capabilities",
            &initialize.object("capabilities").unwrap_or_default(),
        );
    if let Some(instructions) = initialize.get("instructions") {
        result.put("instructions", instructions);
    }
    let server = initialize.object("serverInfo");
    modern_result("server/discover", result, server.as_ref())
}

/// The result of `initialize`, out of that of `server/discover`.
#[must_use]
pub fn initialize_result(discover: &Object, version: Version) -> Object {
    let meta = discover.object("_meta").unwrap_or_default();
    let server = meta.object(SERVER);
    let server = server.unwrap_or_else(|| {
        Object::default()
            .with("name", "unnamed")
            .with("version", "")
    });
    let mut result = Object::default()
        .with("protocolVersion", version.as_str())
        .with(
            "capabilities",
            &discover.object("capabilities").unwrap_or_default(),
        )
        .with("serverInfo", &server);
    if let Some(instructions) = discover.get("instructions") {
        result.put("instructions", instructions);
    }
    result
}

/// What a notification of a subscription says to a client that has none by that name.
#[must_use]
pub fn without_subscription(mut params: Object) -> Object {
    if let Some(mut meta) = params.object("_meta") {
        meta.remove(SUBSCRIPTION);
        if meta.is_empty() {
            params.remove("_meta");
        } else {
            params.put("_meta", &meta);
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    fn text(object: &Object) -> String {
        String::from_utf8(object.to_line()).unwrap()
    }

    #[test]
    fn a_request_there_and_back() {
        let params = r#"{"name":"a","_meta":{"progressToken":1,"x":2}}"#;
        let client = ClientSaid::of(&object(
            r#"{"clientInfo":{"name":"c"},"capabilities":{"roots":{}}}"#,
        ));
        let modern = client.to_modern(object(params));
        assert_eq!(
            text(&modern),
            r#"{"name":"a","_meta":{"progressToken":1,"x":2,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}},"io.modelcontextprotocol/clientInfo":{"name":"c"}}}"#
        );
        assert_eq!(text(&to_legacy(modern)), params);
        let bare = ClientSaid::default().to_modern(Object::default());
        assert_eq!(text(&to_legacy(bare)), "{}");
    }

    #[test]
    fn results_get_what_the_server_did_not_know() {
        let server = object(r#"{"name":"s"}"#);
        let list = modern_result("tools/list", object(r#"{"tools":[],"x":1}"#), Some(&server));
        assert_eq!(
            text(&list),
            r#"{"tools":[],"x":1,"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#
        );
        let call = r#"{"content":[],"resultType":"input_required"}"#;
        assert_eq!(text(&modern_result("tools/call", object(call), None)), call);
    }

    #[test]
    fn a_missing_resource_has_another_number() {
        let error = modern_error(object(
            r#"{"code":-32002,"message":"m","data":{"uri":"u"}}"#,
        ));
        assert_eq!(
            text(&error),
            r#"{"code":-32602,"message":"m","data":{"uri":"u"}}"#
        );
    }

    #[test]
    fn the_first_words_there_and_back() {
        let initialize = object(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"},"instructions":"i"}"#,
        );
        let discover = discover_result(&initialize);
        assert_eq!(discover.text("cacheScope").as_deref(), Some("private"));
        let versions: Vec<String> = discover.read("supportedVersions").unwrap();
        assert_eq!((versions.len(), versions[0].as_str()), (5, MODERN));
        let back = initialize_result(&discover, Version::latest_legacy());
        assert_eq!(text(&back), text(&initialize));
    }
}
