//! Chat templates in Go's language (`text/template`), one for each family.
//!
//! What a family has in common: how a turn begins and ends. A model's own template may do more, such as a default
//! system text or tools; whoever needs that gives a template in the object.

use crate::gguf::ChatFamily;

/// The template of a family, and the texts that end an answer.
///
/// Ollama joins the system messages to `.System` and leaves them in `.Messages` too. The token that begins a text
/// is added when the prompt is tokenised.
pub(super) fn of(family: ChatFamily) -> (&'static str, &'static [&'static str]) {
    match family {
        ChatFamily::ChatML => (
            "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
            &["<|im_start|>", "<|im_end|>"],
        ),
        ChatFamily::Llama3 => (
            "{{ range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
            &["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        ),
        // There is no system turn: the text goes before the first question.
        ChatFamily::Gemma => (
            "{{ $system := .System }}{{ range .Messages }}{{ if eq .Role \"user\" }}<start_of_turn>user\n{{ if $system }}{{ $system }}\n\n{{ $system = \"\" }}{{ end }}{{ .Content }}<end_of_turn>\n{{ else if eq .Role \"assistant\" }}<start_of_turn>model\n{{ .Content }}<end_of_turn>\n{{ end }}{{ end }}<start_of_turn>model\n",
            &["<start_of_turn>", "<end_of_turn>"],
        ),
        ChatFamily::Phi3 => (
            "{{ range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}<|assistant|>\n",
            &["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"],
        ),
        ChatFamily::Mistral => (
            "{{ $system := .System }}{{ range .Messages }}{{ if eq .Role \"user\" }}[INST] {{ if $system }}{{ $system }}\n\n{{ $system = \"\" }}{{ end }}{{ .Content }}[/INST]{{ else if eq .Role \"assistant\" }} {{ .Content }}</s>{{ end }}{{ end }}",
            &["[INST]", "[/INST]"],
        ),
        ChatFamily::DeepSeek => (
            "{{ .System }}{{ range .Messages }}{{ if eq .Role \"user\" }}<｜User｜>{{ .Content }}{{ else if eq .Role \"assistant\" }}<｜Assistant｜>{{ .Content }}<｜end▁of▁sentence｜>{{ end }}{{ end }}<｜Assistant｜>",
            &["<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A family's template writes the marks that it is known by, and opens and closes its actions.
    #[rstest::rstest]
    #[case(ChatFamily::ChatML)]
    #[case(ChatFamily::Llama3)]
    #[case(ChatFamily::Gemma)]
    #[case(ChatFamily::Mistral)]
    #[case(ChatFamily::DeepSeek)]
    fn a_template_is_of_its_family(#[case] family: ChatFamily) {
        let (text, stop) = of(family);
        assert_eq!(ChatFamily::of(text), Some(family));
        assert_eq!(text.matches("{{").count(), text.matches("}}").count());
        let opened = ["{{ range", "{{ if"].map(|open| text.matches(open).count());
        let closed = text.matches("{{ end }}").count();
        assert_eq!(opened.iter().sum::<usize>(), closed);
        assert!(!stop.is_empty());
    }
}
