//! What a request's body decides, and what the gate writes into it.

use bytes::Bytes;
use http::StatusCode;

use crate::engine::Particulars;
use crate::gate::answer::Refusal;
use crate::gate::body::Peek;
use crate::gate::routes::Route;
use crate::gate::served::{Models, Served};

/// A body that may reach the engine.
pub(super) struct Looked<'a> {
    /// Which model it is for.
    pub(super) model: &'a Served,
    /// It names that model.
    named: bool,
    /// It asks for a stream, and not for the tokens that it takes.
    unasked: bool,
}

/// Looks at a body.
///
/// # Errors
/// 400 and 404 for one that must not reach the engine.
pub(super) fn look<'a>(models: &'a Models, body: &[u8]) -> Result<Looked<'a>, Refusal> {
    let bad = |code: &str, message: String| Refusal::new(StatusCode::BAD_REQUEST, code, message);
    let Ok(peek) = serde_json::from_slice::<Peek>(body) else {
        let message = "the body is not a JSON object with at most one model, a string";
        return Err(bad("invalid_json", message.to_owned()));
    };
    let named = peek.model.is_some();
    let model = match &peek.model {
        Some(name) => models.named(name).ok_or_else(|| unknown(models)),
        None => models.only().ok_or_else(|| {
            let message = format!("name a model: {}", models.offered());
            bad("model_required", message)
        }),
    }?;
    if peek.remote {
        let message = "the pod fetches nothing: send images as data: URLs";
        return Err(bad("remote_url", message.to_owned()));
    }
    if peek.adapters {
        let message = "the object says which adapters count, and by how much: leave lora out";
        return Err(bad("adapters_fixed", message.to_owned()));
    }
    if let Some(member) = peek.common {
        let message =
            format!("{member} is about what the engine keeps of all requests: leave it out");
        return Err(bad("not_offered", message));
    }
    if let Some(member) = peek.costly {
        let message = format!("the body asks for more by {member} than an engine can bear");
        return Err(bad("too_costly", message));
    }
    Ok(Looked {
        model,
        named,
        unasked: peek.unasked,
    })
}

/// No model is served under the name that was asked for.
pub(super) fn unknown(models: &Models) -> Refusal {
    let message = models.offered();
    Refusal::new(StatusCode::NOT_FOUND, "model_not_found", message)
}

impl Looked<'_> {
    /// The body as this engine needs it, and whether it asks now for tokens that the client did not ask for. All that came
    /// is in it, byte for byte.
    pub(super) fn written(
        &self,
        body: Bytes,
        engine: &dyn Particulars,
        route: Route,
    ) -> (Bytes, bool) {
        let first = !self.named && engine.needs_model();
        let last = engine.asks_for_tokens(route).filter(|_| self.unasked);
        if !first && last.is_none() {
            return (body, false);
        }
        // Its own memory is taken over, which has room for a member more: the budget of bodies counts it once.
        let mut text = Vec::from(body);
        if first {
            put_model(&mut text, &self.model.name);
        }
        if let Some(member) = last {
            put_last(&mut text, member);
        }
        (text.into(), last.is_some())
    }
}

/// Puts this model as the first member into a body that [`Peek`] has read and that names none.
///
/// A `"model": null` stays behind it: whoever takes the last of two members leaves a text as it is for a null.
fn put_model(body: &mut Vec<u8>, model: &str) {
    let text = body.trim_ascii_start();
    let rest = text.get(1..).unwrap_or_default();
    let open = body.len() - rest.len();
    let name = serde_json::Value::from(model).to_string();
    let comma = if rest.trim_ascii_start().starts_with(b"}") {
        ""
    } else {
        ","
    };
    let begin = format!("{{\"model\":{name}{comma}");
    // Not to twice of it.
    body.reserve_exact(begin.len());
    drop(body.splice(..open, begin.into_bytes()));
}

/// Puts one member more behind those of a body that [`Peek`] has read and that has some.
fn put_last(body: &mut Vec<u8>, member: &str) {
    let text = body.trim_ascii_end();
    let rest = text.strip_suffix(b"}").unwrap_or(text).len();
    body.truncate(rest);
    body.reserve_exact(member.len() + 2);
    body.push(b',');
    body.extend_from_slice(member.as_bytes());
    body.push(b'}');
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;
    use crate::engine::Engine;
    use crate::gate::bodies::whole;

    fn models() -> Models {
        Models::one("name=a/b".parse().unwrap())
    }

    fn written(body: &str, engine: Engine, route: Route) -> (Bytes, bool) {
        let (models, body) = (models(), Bytes::copy_from_slice(body.as_bytes()));
        let looked = look(&models, &body).unwrap();
        looked.written(body, engine.particulars(), route)
    }

    #[rstest::rstest]
    #[case("{}", r#"{"model":"a/b"}"#)]
    #[case(" { } ", r#"{"model":"a/b" } "#)]
    #[case(r#"{"prompt":"x"}"#, r#"{"model":"a/b","prompt":"x"}"#)]
    fn a_model_is_written_into_what_names_none(#[case] body: &str, #[case] expected: &str) {
        let mut named = body.as_bytes().to_vec();
        put_model(&mut named, "a/b");
        assert_eq!(named, expected.as_bytes());
        let peek: Peek = serde_json::from_slice(&named).unwrap();
        assert_eq!(peek.model.as_deref(), Some("a/b"));
    }

    /// As Go's `encoding/json` reads them: names in any case, the last of two, and null changes no switch.
    #[rstest::rstest]
    #[case(r#"{"stream":true}"#, true)]
    #[case(r#"{"Stream":true,"stream":null}"#, true)]
    #[case(r#"{"stream_options":{"a":[true]},"stream":true}"#, true)]
    #[case(r#"{"stream_options":{"include_usage":false},"stream":true}"#, true)]
    #[case(
        r#"{"stream_options":{"a":{"include_usage":true}},"stream":true}"#,
        true
    )]
    #[case(
        r#"{"stream_options":{"include_usage":true,"Include_Usage":false},"stream":true}"#,
        true
    )]
    #[case(
        r#"{"stream_options":{"include_usage":true},"Stream_options":null,"stream":true}"#,
        true
    )]
    #[case(r#"{"include_usage":true,"stream":true}"#, true)]
    #[case(
        r#"{"stream_options":{"include_usage":true,"include_usage":null},"stream":true}"#,
        false
    )]
    #[case(
        r#"{"stream_options":{"include_usage":true},"stream_options":{},"stream":true}"#,
        false
    )]
    #[case(
        r#"{"str\u0065am_options":{"include_usage":true},"stream":true}"#,
        false
    )]
    #[case(r#"{"stream":true,"stream":false}"#, false)]
    #[case(r#"{"messages":[{"stream":true}]}"#, false)]
    #[case("{}", false)]
    fn who_streams_and_asks_for_no_tokens_is_known(#[case] body: &str, #[case] unasked: bool) {
        let models = models();
        assert_eq!(look(&models, body.as_bytes()).unwrap().unasked, unasked);
    }

    #[rstest::rstest]
    #[case::asks_for_none(r#"{"model":"a/b","stream":true}"#)]
    #[case::has_options(r#"{"model":"a/b","stream":true,"stream_options":{"x":1} }"#)]
    fn tokens_are_asked_for_behind_all_that_came(#[case] body: &str) {
        for route in [Route::ChatCompletions, Route::Completions] {
            let (asking, unasked) = written(&format!("{body}\n"), Engine::Ollama, route);
            let all = body.strip_suffix('}').unwrap();
            let expected = format!(r#"{all},"stream_options":{{"include_usage":true}}}}"#);
            assert_eq!((asking, unasked), (expected.into(), true));
        }
    }

    #[tokio::test]
    async fn a_body_is_written_into_where_it_is() {
        let came = Full::new(Bytes::from_static(br#"{"stream":true}"#));
        let body = whole(came, 1024).await.unwrap();
        let at = body.as_ptr();
        let models = models();
        let looked = look(&models, &body).unwrap();
        let engine = Engine::Ollama.particulars();
        let (asking, _) = looked.written(body, engine, Route::ChatCompletions);
        let expected = r#"{"model":"a/b","stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(asking, expected);
        assert_eq!(asking.as_ptr(), at, "no second one of it");
    }

    #[rstest::rstest]
    #[case::by_the_client(
        r#"{"model":"a/b","stream":true,"stream_options":{"include_usage":true}}"#,
        Engine::Ollama,
        Route::ChatCompletions
    )]
    #[case::of_no_stream(r#"{"model":"a/b"}"#, Engine::Ollama, Route::ChatCompletions)]
    #[case::for_vectors(r#"{"model":"a/b","stream":true}"#, Engine::Ollama, Route::Embeddings)]
    #[case::told_anyway(r#"{"stream":true}"#, Engine::LlamaCpp, Route::ChatCompletions)]
    fn else_a_body_passes_as_it_came(
        #[case] body: &str,
        #[case] engine: Engine,
        #[case] route: Route,
    ) {
        assert_eq!(
            written(body, engine, route),
            (Bytes::copy_from_slice(body.as_bytes()), false)
        );
    }
}
