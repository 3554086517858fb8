//! Ollama.
//!
//! Source: `envconfig`, `server`, `manifest` and `types/model` of github.com/ollama/ollama v0.17.4, and what it
//! printed when it was run. It listens on TCP alone, asks for a key pair in `$HOME`, starts a process of itself
//! for each model that it loads and talks with it over a TCP port that the kernel chooses.

mod name;
mod store;
mod template;
mod variables;

use http::StatusCode;

use super::choice::ready_on_200;
use super::{
    Entry, Health, LayoutError, Listens, Mode, Particulars, Place, Question, Route, Settings,
    Sockets, Tokens, Tuning, Unfit, Weights,
};
use crate::gguf::ChatFamily;
use name::Name;

/// The port that Ollama's own clients know.
pub const PORT: u16 = 11_434;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Ollama;

impl Particulars for Ollama {
    fn command(&self, _: &Settings) -> Vec<String> {
        ["/usr/bin/ollama", "serve"].map(str::to_owned).into()
    }

    fn environment(&self, settings: &Settings) -> Vec<(&'static str, String)> {
        variables::environment(settings)
    }

    fn passes(&self, variable: &str) -> bool {
        variables::SETTINGS.contains(&variable)
    }

    fn fixed(&self, place: &Place<'_>) -> Vec<(&'static str, String)> {
        variables::fixed(place)
    }

    fn listens(&self) -> Listens {
        Listens::Tcp(PORT)
    }

    fn sockets(&self) -> Sockets {
        Sockets::UnixAndStreams
    }

    fn health_path(&self) -> &'static str {
        "/api/version"
    }

    /// It says nothing of its model there: only a completion shows that it loads.
    fn health(&self, status: StatusCode) -> Health {
        ready_on_200(status)
    }

    fn warm_up(&self, model: &str, mode: Mode) -> Question {
        mode.smallest(model)
    }

    /// It has none.
    fn counters_path(&self) -> Option<&'static str> {
        None
    }

    fn counters(&self, _: &str) -> Option<Tokens> {
        None
    }

    /// Ollama's own API is not reached by any route.
    fn path(&self, route: Route) -> Option<&'static str> {
        (route != Route::Rerank).then(|| route.path())
    }

    /// It cuts texts or answers 400.
    fn blames(&self, _: &str) -> Option<Unfit> {
        None
    }

    fn needs_model(&self) -> bool {
        true
    }

    /// Otherwise no event of its streams has them (`middleware/openai.go`). Go's `encoding/json` reads it into the same value
    /// as the client's own `stream_options` before it: of two `include_usage` the last counts, and the other members stay.
    fn asks_for_tokens(&self, route: Route) -> Option<&'static str> {
        matches!(route, Route::ChatCompletions | Route::Completions)
            .then_some(r#""stream_options":{"include_usage":true}"#)
    }

    fn can_serve_for(&self, mode: Mode) -> Result<(), String> {
        if mode == Mode::Rerank {
            return Err("Ollama ranks no documents: write engine: LlamaCpp".to_owned());
        }
        Ok(())
    }

    fn can_serve_as(&self, name: &str) -> Result<(), String> {
        name.parse::<Name>()
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn holds_several(&self) -> bool {
        true
    }

    /// It looks for a model's manifest without regard to case (`server/routes.go`, `getExistingName`).
    fn confuses(&self, one: &str, other: &str) -> bool {
        let place = |name: &str| {
            let name = name.parse::<Name>().ok()?;
            Some(name.manifest().to_string_lossy().to_ascii_lowercase())
        };
        one == other || (place(one).is_some() && place(one) == place(other))
    }

    fn has_store(&self, _: &Settings) -> bool {
        true
    }

    fn layout(
        &self,
        weights: &Weights<'_>,
        settings: &Settings,
    ) -> Result<Vec<Entry>, LayoutError> {
        store::layout(weights, settings)
    }

    /// Its context is that of one request (`num_ctx`).
    fn cached(&self, tuning: &Tuning) -> u32 {
        tuning.context.saturating_mul(tuning.parallel)
    }

    fn pools_by_itself(&self) -> bool {
        true
    }

    /// Before 0.30 it cannot read the model's own template.
    fn lacks_template(&self, family: Option<ChatFamily>) -> bool {
        family.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::remotes("OLLAMA_REMOTES")]
    #[case::debug("OLLAMA_DEBUG")]
    #[case::host("OLLAMA_HOST")]
    #[case::cloud("OLLAMA_NO_CLOUD")]
    #[case::library("OLLAMA_LIBRARY_PATH")]
    #[case::llama("LLAMA_ARG_HOST")]
    fn an_image_cannot_set(#[case] variable: &str) {
        assert!(!Ollama.passes(variable));
    }

    #[rstest::rstest]
    #[case::same("chat", "chat", true)]
    #[case::tag("chat", "chat:latest", true)]
    #[case::namespace("chat", "library/chat", true)]
    #[case::case_of_letters("Lab/Chat:Q4", "lab/chat:q4", true)]
    #[case::other_tag("chat:7b", "chat:8b", false)]
    #[case::other("chat", "vectors", false)]
    #[case::no_names("a:b:c", "d:e:f", false)]
    fn names_of_one_model_are_known(
        #[case] one: &str,
        #[case] other: &str,
        #[case] confused: bool,
    ) {
        assert_eq!(Ollama.confuses(one, other), confused);
        assert_eq!(Ollama.confuses(other, one), confused);
    }
}
