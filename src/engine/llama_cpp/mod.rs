//! llama.cpp's `llama-server`.
//!
//! Source: `tools/server/README.md` of llama.cpp, build 11669 and near it.

mod command;
mod counters;

use std::path::PathBuf;

use http::StatusCode;
use serde_json::json;

use super::choice::ready_on_200;
use super::{
    Entry, Health, LayoutError, Listens, Mode, Particulars, Place, Question, Route, Settings,
    Sockets, Tokens, Tuning, Unfit, Weights,
};
use crate::gguf::ChatFamily;

/// The file of its store: the chat template that the object gives.
const TEMPLATE: &str = "chat-template.jinja";

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

    /// No variable: each of its flags has one, those that listen and fetch too (`LLAMA_ARG_HOST`, `LLAMA_ARG_HF_REPO`).
    fn passes(&self, _: &str) -> bool {
        false
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
        ready_on_200(status)
    }

    fn warm_up(&self, model: &str, mode: Mode) -> Question {
        if mode != Mode::Completion {
            return mode.smallest(model);
        }
        let body = json!({
            "model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0, "cache_prompt": false,
        });
        Question::new(Route::Completions.path(), &body)
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

    /// `input (701 tokens) is too large to process. increase the physical batch size`, of an embedding or a ranking, and
    /// `image input is not supported - hint: if this is unexpected, you may need to provide the mmproj`.
    fn blames(&self, words: &str) -> Option<Unfit> {
        if words.contains("too large to process") {
            Some(Unfit::TooLong)
        } else {
            words
                .contains("image input is not supported")
                .then_some(Unfit::Image)
        }
    }

    fn needs_model(&self) -> bool {
        false
    }

    /// Its streams end with `timings`.
    fn asks_for_tokens(&self, _: Route) -> Option<&'static str> {
        None
    }

    fn can_serve_for(&self, _: Mode) -> Result<(), String> {
        Ok(())
    }

    fn can_serve_as(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    /// One process, one model.
    fn holds_several(&self) -> bool {
        false
    }

    fn confuses(&self, one: &str, other: &str) -> bool {
        one == other
    }

    /// A template of more than a few words is no argument.
    fn has_store(&self, settings: &Settings) -> bool {
        settings.task.template.is_some()
    }

    fn layout(&self, _: &Weights<'_>, settings: &Settings) -> Result<Vec<Entry>, LayoutError> {
        let template = settings.task.template.as_ref();
        let template = template.ok_or(LayoutError::NoStore)?;
        Ok(vec![Entry::File {
            path: PathBuf::from(TEMPLATE),
            bytes: template.as_bytes().to_vec(),
        }])
    }

    /// Its context is that of all slots together (`-c`).
    fn cached(&self, tuning: &Tuning) -> u32 {
        tuning.context
    }

    /// It answers with the vector of each token.
    fn pools_by_itself(&self) -> bool {
        false
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
