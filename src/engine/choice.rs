//! Settings that are one word of several, as the object and the flags write them.

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Question, Route};

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident: $($(#[$vdoc:meta])* $variant:ident),+;)+) => { $(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
        )]
        #[value(rename_all = "PascalCase")]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// As the object and the flags write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// Whether it is what holds where nothing is written.
            #[must_use]
            #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
            pub fn is_default(&self) -> bool {
                *self == Self::default()
            }
        }
    )+ };
}

choices! {
    /// What a model is served for.
    Mode:
        /// It writes text.
        #[default] Completion,
        /// It makes vectors of texts.
        Embedding,
        /// It says how well texts answer a query.
        Rerank;
    /// How the vectors of a text's tokens become one.
    Pooling:
        /// Their mean.
        #[default] Mean,
        /// The first token's.
        Cls,
        /// The last token's.
        Last;
    /// Whether attention is computed without its whole matrix in memory.
    FlashAttention:
        /// Where the engine finds that its backend can.
        #[default] Auto,
        /// Always: the engine does not start where its backend cannot.
        Always;
    /// What becomes of what an engine prints once it may know a prompt.
    Printed:
        /// It is counted and dropped.
        #[default] Drop,
        /// It goes into the log of the runtime's container.
        Log;
}

impl Mode {
    /// Whether the route is one of this mode.
    #[must_use]
    pub fn serves(self, route: Route) -> bool {
        match route {
            Route::ChatCompletions | Route::Completions => self == Self::Completion,
            Route::Embeddings => self == Self::Embedding,
            Route::Rerank => self == Self::Rerank,
            Route::Models | Route::Model => true,
        }
    }

    /// What the model does, and where to ask for it.
    #[must_use]
    pub fn does(self) -> &'static str {
        match self {
            Self::Completion => "writes text: POST /v1/chat/completions or /v1/completions",
            Self::Embedding => "makes embeddings: POST /v1/embeddings",
            Self::Rerank => "ranks documents: POST /v1/rerank",
        }
    }

    /// The smallest request: shows that the model does load and compute.
    pub(super) fn smallest(self, model: &str) -> Question {
        let (path, body) = match self {
            Self::Completion => (
                "/v1/completions",
                json!({"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0}),
            ),
            Self::Embedding => ("/v1/embeddings", json!({"model": model, "input": "Hello"})),
            Self::Rerank => (
                "/v1/rerank",
                json!({"model": model, "query": "Hello", "documents": ["Hello"]}),
            ),
        };
        Question::new(path, &body)
    }
}

impl Question {
    /// A POST of this JSON.
    pub(super) fn new(path: &'static str, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { path, body }
    }
}

/// Health of an engine that says 200 when it takes requests.
pub(super) fn ready_on_200(status: StatusCode) -> super::Health {
    if status == StatusCode::OK {
        super::Health::Ready
    } else {
        super::Health::Loading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(Mode::Completion, &[Route::ChatCompletions, Route::Completions, Route::Models, Route::Model])]
    #[case(Mode::Embedding, &[Route::Embeddings, Route::Models, Route::Model])]
    #[case(Mode::Rerank, &[Route::Rerank, Route::Models, Route::Model])]
    fn a_mode_has_its_routes_and_asks_on_one(#[case] mode: Mode, #[case] expected: &[Route]) {
        let served = Route::ALL.iter().filter(|route| mode.serves(**route));
        assert_eq!(served.copied().collect::<Vec<_>>(), expected);
        let question = mode.smallest("a\"b");
        assert!(expected.iter().any(|route| route.path() == question.path));
        let body: Value = serde_json::from_slice(&question.body).unwrap();
        assert_eq!(body["model"], "a\"b");
        assert!(mode.does().contains(question.path));
    }

    #[test]
    fn words_are_those_of_the_api() {
        for mode in Mode::ALL {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
        }
        for pooling in Pooling::ALL {
            assert_eq!(serde_json::to_value(pooling).unwrap(), pooling.as_str());
        }
    }
}
