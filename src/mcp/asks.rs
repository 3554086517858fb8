//! What a server of the older era asks a client of the stateless one: which client can be asked what, and the words in
//! which it is asked (2026-07-28, Multi Round-Trip Requests). Pure.

use std::collections::BTreeSet;

use serde_json::json;

use super::object::Object;
use super::translate::SERVER;

/// One thing that a client may declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Ask {
    Roots,
    Sampling,
    SamplingTools,
    SamplingContext,
    Form,
    Url,
}

/// What a client can be asked, as it says with each request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Askable(BTreeSet<Ask>);

impl Askable {
    /// Reads `clientCapabilities`; of those that ask nothing nothing is kept.
    #[must_use]
    pub fn of(capabilities: &Object) -> Self {
        let mut all = BTreeSet::new();
        if capabilities.object("roots").is_some() {
            all.insert(Ask::Roots);
        }
        if let Some(sampling) = capabilities.object("sampling") {
            all.insert(Ask::Sampling);
            for (name, ask) in [
                ("tools", Ask::SamplingTools),
                ("context", Ask::SamplingContext),
            ] {
                if sampling.object(name).is_some() {
                    all.insert(ask);
                }
            }
        }
        if let Some(elicitation) = capabilities.object("elicitation") {
            let has = |name| elicitation.object(name).is_some();
            if has("url") {
                all.insert(Ask::Url);
            }
            // An empty object means forms (2026-07-28, Elicitation, Capabilities).
            if has("form") || !has("url") {
                all.insert(Ask::Form);
            }
        }
        Self(all)
    }

    /// Whether it can be asked nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// The `capabilities` of a client of the older era that can be asked the same (2025-11-25).
    #[must_use]
    pub fn to_legacy(&self) -> Object {
        let has = |ask| self.0.contains(&ask);
        let group = |members: &[(&str, Ask)]| {
            let there = members.iter().filter(|(_, ask)| has(*ask));
            there.fold(Object::default(), |group, (name, _)| {
                group.with(name, &json!({}))
            })
        };
        let mut all = Object::default();
        if has(Ask::Roots) {
            all.put("roots", &json!({}));
        }
        if has(Ask::Sampling) {
            let members = [
                ("tools", Ask::SamplingTools),
                ("context", Ask::SamplingContext),
            ];
            all.put("sampling", &group(&members));
        }
        if has(Ask::Form) || has(Ask::Url) {
            let members = [("form", Ask::Form), ("url", Ask::Url)];
            all.put("elicitation", &group(&members));
        }
        all
    }

    /// Whether the client can be asked this.
    #[must_use]
    pub fn allows(&self, method: &str, params: &Object) -> bool {
        let needed = match method {
            "roots/list" => Ask::Roots,
            "sampling/createMessage" if params.has("tools") || params.has("toolChoice") => {
                Ask::SamplingTools
            }
            "sampling/createMessage" => Ask::Sampling,
            "elicitation/create" => match params.text("mode").as_deref() {
                None if params.has("mode") => return false,
                None | Some("form") => Ask::Form,
                Some("url") => Ask::Url,
                Some(_) => return false,
            },
            _ => return false,
        };
        self.0.contains(&needed)
    }
}

/// A request of a server as an input request. Nobody hears of its progress.
#[must_use]
pub fn question(method: &str, mut params: Object) -> Object {
    if let Some(mut meta) = params.object("_meta") {
        meta.remove("progressToken");
        if meta.is_empty() {
            params.remove("_meta");
        } else {
            params.put("_meta", &meta);
        }
    }
    let question = Object::default().with("method", method);
    if params.is_empty() {
        return question;
    }
    question.with("params", &params)
}

/// The `InputRequiredResult` that asks these, each by its key.
#[must_use]
pub fn input_required<'a>(
    questions: impl Iterator<Item = (&'a str, &'a Object)>,
    state: &str,
    server: Option<&Object>,
) -> Object {
    let questions = questions.fold(Object::default(), |all, (key, question)| {
        all.with(key, question)
    });
    let result = Object::default()
        .with("resultType", "input_required")
        .with("inputRequests", &questions)
        .with("requestState", state);
    match server {
        Some(server) => result.with("_meta", &Object::default().with(SERVER, server)),
        None => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(text.as_bytes()).unwrap()
    }

    #[rstest::rstest]
    #[case::nothing("{}", "{}")]
    #[case::strange(r#"{"extensions":{"x":{}},"roots":true}"#, "{}")]
    #[case::roots(r#"{"roots":{"listChanged":true}}"#, r#"{"roots":{}}"#)]
    #[case::form(r#"{"elicitation":{}}"#, r#"{"elicitation":{"form":{}}}"#)]
    #[case::url(
        r#"{"elicitation":{"url":{}},"sampling":{}}"#,
        r#"{"sampling":{},"elicitation":{"url":{}}}"#
    )]
    #[case::all(
        r#"{"sampling":{"context":{},"tools":{}},"elicitation":{"url":{},"form":{}},"roots":{}}"#,
        r#"{"roots":{},"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}}}"#
    )]
    fn a_server_is_told_what_its_client_says(#[case] said: &str, #[case] told: &str) {
        let askable = Askable::of(&object(said));
        assert_eq!(askable.to_legacy().to_line(), told.as_bytes());
        assert_eq!(askable.is_nothing(), told == "{}");
    }

    #[rstest::rstest]
    #[case(r#"{"roots":{}}"#, "roots/list", "{}", true)]
    #[case(r#"{"sampling":{}}"#, "roots/list", "{}", false)]
    #[case(r#"{"sampling":{}}"#, "sampling/createMessage", "{}", true)]
    #[case(
        r#"{"sampling":{}}"#,
        "sampling/createMessage",
        r#"{"tools":[]}"#,
        false
    )]
    #[case(
        r#"{"sampling":{"tools":{}}}"#,
        "sampling/createMessage",
        r#"{"tools":[]}"#,
        true
    )]
    #[case(r#"{"elicitation":{}}"#, "elicitation/create", "{}", true)]
    #[case(
        r#"{"elicitation":{}}"#,
        "elicitation/create",
        r#"{"mode":"url"}"#,
        false
    )]
    #[case(r#"{"elicitation":{"url":{}}}"#, "elicitation/create", "{}", false)]
    #[case(
        r#"{"elicitation":{"url":{}}}"#,
        "elicitation/create",
        r#"{"mode":"url"}"#,
        true
    )]
    #[case(r#"{"elicitation":{}}"#, "elicitation/create", r#"{"mode":7}"#, false)]
    #[case(
        r#"{"roots":{},"sampling":{},"elicitation":{}}"#,
        "tasks/get",
        "{}",
        false
    )]
    fn only_what_was_declared_is_asked(
        #[case] said: &str,
        #[case] method: &str,
        #[case] params: &str,
        #[case] allowed: bool,
    ) {
        let askable = Askable::of(&object(said));
        assert_eq!(askable.allows(method, &object(params)), allowed);
    }

    #[test]
    fn questions_are_asked_in_the_words_of_the_newer_era() {
        let params = object(r#"{"message":"who?","_meta":{"progressToken":3}}"#);
        let name = question("elicitation/create", params);
        let roots = question("roots/list", Object::default());
        let server = object(r#"{"name":"s"}"#);
        let asked = [("q1", &name), ("q2", &roots)].into_iter();
        let result = input_required(asked, "state", Some(&server));
        assert_eq!(
            String::from_utf8(result.to_line()).unwrap(),
            r#"{"resultType":"input_required","inputRequests":{"q1":{"method":"elicitation/create","params":{"message":"who?"}},"q2":{"method":"roots/list"}},"requestState":"state","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#
        );
    }
}
