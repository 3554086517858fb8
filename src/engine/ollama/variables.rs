//! What Ollama takes from its environment: all of its settings, and what must hold whoever sets them.
//!
//! Source: `envconfig` of github.com/ollama/ollama v0.17.4.

use crate::engine::{Place, Settings};
use crate::gguf::KvType;

/// Variables that may come from the container: the typed settings, and nothing else of Ollama's. What names other
/// hosts (`OLLAMA_REMOTES`), writes prompts into the log (`OLLAMA_DEBUG`) or listens elsewhere is not among them.
pub(super) const SETTINGS: [&str; 5] = [
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_KV_CACHE_TYPE",
    "OLLAMA_FLASH_ATTENTION",
    "OLLAMA_MAX_LOADED_MODELS",
];

/// The settings, as variables that show in the pod.
pub(super) fn environment(settings: &Settings) -> Vec<(&'static str, String)> {
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

/// What `launch` sets, whatever the container says.
pub(super) fn fixed(place: &Place<'_>) -> Vec<(&'static str, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Particulars;
    use crate::engine::ollama::Ollama;

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
