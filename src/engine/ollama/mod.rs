//! Ollama.
//!
//! Source: `envconfig`, `server`, `manifest` and `types/model` of github.com/ollama/ollama v0.17.4, and what it
//! printed when it was run. It listens on TCP alone, asks for a key pair in `$HOME`, starts a process of itself
//! for each model that it loads and talks with it over a TCP port that the kernel chooses.

mod name;
mod store;
mod template;

use http::StatusCode;

use super::choice::ready_on_200;
use super::{
    Entry, Health, LayoutError, Listens, Mode, Particulars, Place, Question, Route, Settings,
    Sockets, Tokens, Tuning, Weights,
};
use crate::gguf::{ChatFamily, KvType};
use name::Name;

/// The port that Ollama's own clients know.
pub const PORT: u16 = 11_434;

/// Variables that may come from the container: the typed settings, and nothing else of Ollama's. What names other
/// hosts (`OLLAMA_REMOTES`), writes prompts into the log (`OLLAMA_DEBUG`) or listens elsewhere is not among them.
const SETTINGS: [&str; 5] = [
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_KV_CACHE_TYPE",
    "OLLAMA_FLASH_ATTENTION",
    "OLLAMA_MAX_LOADED_MODELS",
];

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Ollama;

impl Particulars for Ollama {
    fn command(&self, _: &Settings) -> Vec<String> {
        ["/usr/bin/ollama", "serve"].map(str::to_owned).into()
    }

    fn environment(&self, settings: &Settings) -> Vec<(&'static str, String)> {
        let [context, parallel, cache, flash, loaded] = SETTINGS;
        let mut set = vec![
            (context, settings.tuning.context.to_string()),
            (parallel, settings.tuning.parallel.to_string()),
        ];
        if settings.tuning.cache_k != KvType::default() {
            // One type for keys and values, and only with flash attention.
            set.push((cache, settings.tuning.cache_k.as_str().to_owned()));
            set.push((flash, "1".to_owned()));
        }
        // A store with one model has nothing to count.
        set.extend(
            settings
                .tuning
                .max_loaded
                .map(|most| (loaded, most.to_string())),
        );
        set
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
            // Once loaded, loaded, unless another model needs the place: readiness was proven with it.
            ("OLLAMA_KEEP_ALIVE", text("-1")),
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
    fn says_too_long(&self, _: &str) -> bool {
        false
    }

    fn needs_model(&self) -> bool {
        true
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

    #[test]
    fn how_many_are_loaded_is_said_of_several_models_only() {
        let loaded = |settings: &Settings| {
            let set = Ollama.environment(settings);
            let found = set.into_iter().find(|(name, _)| name.contains("LOADED"));
            found.map(|(_, value)| value)
        };
        let mut settings = Settings::sample();
        assert_eq!(loaded(&settings), None);
        settings.tuning.max_loaded = Some(2);
        assert_eq!(loaded(&settings).as_deref(), Some("2"));
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
