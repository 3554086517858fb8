//! The routes of the gate's API.

/// A route of the API. What a request must look like to be one is decided in [`crate::gate::routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/rerank`, which the OpenAI API does not have; as Jina's and Cohere's clients send it.
    Rerank,
    /// `GET /v1/models`, which the gate answers itself.
    Models,
    /// `GET /v1/models/` and a served name, which it answers itself too: one entry of that list.
    Model,
}

impl Route {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Rerank,
        Self::Models,
        Self::Model,
    ];

    /// The path, as clients, the audit and the metrics name it: never the client's own text. One model has the path of
    /// the list.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Rerank => "/v1/rerank",
            Self::Models | Self::Model => "/v1/models",
        }
    }
}
