//! llama.cpp's `llama-server`.
//!
//! Source: `tools/server/README.md` of llama.cpp, build 11669 and near it.

mod command;
mod counters;

use http::StatusCode;
use serde_json::json;

use super::{
    Entry, Health, LayoutError, Listens, Particulars, Place, Question, Route, Settings, Sockets,
    Tokens, Weights,
};
use crate::gguf::ChatFamily;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LlamaCpp;

impl Particulars for LlamaCpp {
    fn command(&self, settings: &Settings) -> Vec<String> {
        command::command(settings)
    }

    /// Every setting is an argument.
    fn environment(&self, _: &Settings) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn passes(&self, variable: &str) -> bool {
        variable.starts_with("LLAMA_")
    }

    fn fixed(&self, _: &Place<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn listens(&self) -> Listens {
        Listens::Unix
    }

    fn sockets(&self) -> Sockets {
        Sockets::UnixOnly
    }

    fn health_path(&self) -> &'static str {
        "/health"
    }

    /// 503 `Loading model` until it has loaded.
    fn health(&self, status: StatusCode) -> Health {
        if status == StatusCode::OK {
            Health::Ready
        } else {
            Health::Loading
        }
    }

    fn warm_up(&self, model: &str) -> Question {
        let body = json!({
            "model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0, "cache_prompt": false,
        });
        Question {
            path: "/v1/completions",
            body: body.to_string().into_bytes(),
        }
    }

    /// Its Prometheus metrics (`--metrics`).
    fn counters_path(&self) -> Option<&'static str> {
        Some("/metrics")
    }

    fn counters(&self, text: &str) -> Option<Tokens> {
        counters::tokens(text)
    }

    fn path(&self, route: Route) -> Option<&'static str> {
        Some(route.path())
    }

    fn needs_model(&self) -> bool {
        false
    }

    fn can_serve_as(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn has_store(&self) -> bool {
        false
    }

    fn layout(&self, _: &Weights<'_>, _: &Settings) -> Result<Vec<Entry>, LayoutError> {
        Err(LayoutError::NoStore)
    }

    /// It reads the model's own template.
    fn lacks_template(&self, _: Option<ChatFamily>) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_200_is_ready() {
        assert_eq!(LlamaCpp.health(StatusCode::OK), Health::Ready);
        assert_eq!(
            LlamaCpp.health(StatusCode::SERVICE_UNAVAILABLE),
            Health::Loading
        );
    }
}
