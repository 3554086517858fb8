//! llama.cpp's `llama-server`: its health, its first request, its counters.
//!
//! Source: `tools/server/README.md` of llama.cpp, build 11669 and near it.

use http::StatusCode;
use serde_json::json;

/// Where it says whether it has loaded its model.
pub const HEALTH: &str = "/health";
/// Its Prometheus metrics (`--metrics`).
pub const METRICS: &str = "/metrics";
/// Where a completion is asked for.
pub const COMPLETIONS: &str = "/v1/completions";

/// What an engine says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers, and has not loaded its model: 503 `Loading model`.
    Loading,
    /// It takes requests.
    Ready,
}

/// Reads the status of [`HEALTH`]; any answer at all shows that it does not hang.
#[must_use]
pub fn health(status: StatusCode) -> Health {
    if status == StatusCode::OK {
        Health::Ready
    } else {
        Health::Loading
    }
}

/// The body of a completion of one token: shows that the model does load and compute.
#[must_use]
pub fn warm_up(model: &str) -> Vec<u8> {
    json!({"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0, "cache_prompt": false})
        .to_string()
        .into_bytes()
}

/// Tokens since the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read: `llamacpp:prompt_tokens_total`.
    pub prompt: u64,
    /// Written: `llamacpp:tokens_predicted_total`.
    pub generated: u64,
}

/// Reads the two counters out of the text of [`METRICS`]; `None` when one is missing or no number.
#[must_use]
pub fn tokens(text: &str) -> Option<Tokens> {
    let counter = |name: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .and_then(|value| value.trim().parse::<f64>().ok())
            .filter(|value| value.is_finite() && *value >= 0.0)
            .map(|value| value as u64)
    };
    Some(Tokens {
        prompt: counter("llamacpp:prompt_tokens_total")?,
        generated: counter("llamacpp:tokens_predicted_total")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.\n\
        # TYPE llamacpp:prompt_tokens_total counter\n\
        llamacpp:prompt_tokens_total 42\n\
        # TYPE llamacpp:tokens_predicted_total counter\n\
        llamacpp:tokens_predicted_total 1e3\n\
        llamacpp:tokens_predicted_seconds_total 7.5\n";

    #[test]
    fn counters_are_read_by_their_whole_names() {
        assert_eq!(
            tokens(TEXT),
            Some(Tokens {
                prompt: 42,
                generated: 1000
            })
        );
    }

    #[rstest::rstest]
    #[case::empty("")]
    #[case::one("llamacpp:prompt_tokens_total 1\n")]
    #[case::not_a_number("llamacpp:prompt_tokens_total NaN\nllamacpp:tokens_predicted_total 1\n")]
    #[case::text("llamacpp:prompt_tokens_total <b>\nllamacpp:tokens_predicted_total 1\n")]
    fn what_is_no_counter_is_none(#[case] text: &str) {
        assert_eq!(tokens(text), None);
    }

    #[test]
    fn only_200_is_ready() {
        assert_eq!(health(StatusCode::OK), Health::Ready);
        assert_eq!(health(StatusCode::SERVICE_UNAVAILABLE), Health::Loading);
    }
}
