//! llama-server's token counters, in the text of its `/metrics`.

use crate::engine::Tokens;

/// Reads the two counters; `None` when one is missing or no number.
pub(super) fn tokens(text: &str) -> Option<Tokens> {
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
}
