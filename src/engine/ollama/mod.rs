//! Ollama.
//!
//! Source: `envconfig`, `server`, `manifest` and `types/model` of github.com/ollama/ollama v0.17.4, and what it
//! printed when it was run. It listens on TCP alone, asks for a key pair in `$HOME`, starts a process of itself
//! for each model that it loads and talks with it over a TCP port that the kernel chooses.

mod name;
mod store;
mod template;

use http::StatusCode;
use serde_json::json;

use super::{
    Entry, Health, LayoutError, Listens, Particulars, Place, Question, Route, Settings, Sockets,
    Tokens, Weights,
};
use crate::gguf::ChatFamily;
use name::Name;

/// The port that Ollama's own clients know.
pub const PORT: u16 = 11_434;

/// Variables that may come from the container: the typed settings, and nothing else of Ollama's. What names other
/// hosts (`OLLAMA_REMOTES`), writes prompts into the log (`OLLAMA_DEBUG`) or listens elsewhere is not among them.
const SETTINGS: [&str; 2] = ["OLLAMA_CONTEXT_LENGTH", "OLLAMA_NUM_PARALLEL"];

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Ollama;

impl Particulars for Ollama {
    fn command(&self, _: &Settings) -> Vec<String> {
        ["/usr/bin/ollama", "serve"].map(str::to_owned).into()
    }

    fn environment(&self, settings: &Settings) -> Vec<(&'static str, String)> {
        let values = [settings.context, settings.parallel];
        SETTINGS
            .into_iter()
            .zip(values.map(|value| value.to_string()))
            .collect()
    }

    fn passes(&self, variable: &str) -> bool {
        SETTINGS.contains(&variable)
    }

    fn fixed(&self, place: &Place<'_>) -> Vec<(&'static str, String)> {
        let text = |value: &str| value.to_owned();
        vec![
            ("OLLAMA_HOST", format!("127.0.0.1:{}", place.port)),
            ("OLLAMA_MODELS", place.store.to_owned()),
            // The store is not Ollama's to tidy up.
            ("OLLAMA_NOPRUNE", text("1")),
            // No cloud models, no web search, no look for recommendations.
            ("OLLAMA_NO_CLOUD", text("1")),
            ("OLLAMA_NOHISTORY", text("1")),
            // Once loaded, loaded: readiness was proven with it.
            ("OLLAMA_KEEP_ALIVE", text("-1")),
            ("OLLAMA_MAX_LOADED_MODELS", text("1")),
            // The gate bounds what waits.
            ("OLLAMA_MAX_QUEUE", text("512")),
            // Beside these its own list has loopback only; no browser comes as far as this port.
            ("OLLAMA_ORIGINS", text("http://127.0.0.1")),
        ]
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
        if status == StatusCode::OK {
            Health::Ready
        } else {
            Health::Loading
        }
    }

    fn warm_up(&self, model: &str) -> Question {
        let body = json!({"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0});
        Question {
            path: "/v1/completions",
            body: body.to_string().into_bytes(),
        }
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
        Some(route.path())
    }

    fn needs_model(&self) -> bool {
        true
    }

    fn can_serve_as(&self, name: &str) -> Result<(), String> {
        name.parse::<Name>()
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn has_store(&self) -> bool {
        true
    }

    fn layout(
        &self,
        weights: &Weights<'_>,
        settings: &Settings,
    ) -> Result<Vec<Entry>, LayoutError> {
        store::layout(weights, settings)
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

    #[test]
    fn it_listens_on_loopback_and_keeps_to_itself() {
        let place = Place {
            port: 7,
            store: "/store",
        };
        let fixed = Ollama.fixed(&place);
        let value = |name: &str| {
            let found = fixed.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("OLLAMA_HOST"), Some("127.0.0.1:7"));
        assert_eq!(value("OLLAMA_MODELS"), Some("/store"));
        for name in ["OLLAMA_NO_CLOUD", "OLLAMA_NOPRUNE"] {
            assert_eq!(value(name), Some("1"), "{name}");
        }
        assert_eq!(value("OLLAMA_KEEP_ALIVE"), Some("-1"));
    }
}
