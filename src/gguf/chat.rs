//! Which family a model's chat template is of.
//!
//! The template itself is a Jinja program of up to some ten kibibytes. Nothing here runs it: families differ by the
//! special tokens that they write, and those stand in the text.

use serde::{Deserialize, Serialize};

/// Families of chat templates, by how they mark a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChatFamily {
    /// `<|im_start|>role`: SmolLM2, Qwen and many others.
    ChatML,
    /// `<|start_header_id|>role<|end_header_id|>`: Llama 3.
    Llama3,
    /// `<start_of_turn>user`: Gemma.
    Gemma,
    /// `<|user|>` with `<|end|>`: Phi 3.
    Phi3,
    /// `[INST]`: Mistral.
    Mistral,
    /// `<｜User｜>`: DeepSeek.
    DeepSeek,
}

/// A family, what its templates contain, and what they do not.
type Marks = (ChatFamily, &'static [&'static str], &'static [&'static str]);

const MARKS: [Marks; 6] = [
    (
        ChatFamily::ChatML,
        &["<|im_start|>", "<|im_end|>"],
        &["<|im_sep|>"],
    ),
    (
        ChatFamily::Llama3,
        &["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        &[],
    ),
    (
        ChatFamily::Gemma,
        &["<start_of_turn>", "<end_of_turn>"],
        &[],
    ),
    (ChatFamily::Phi3, &["<|user|>", "<|end|>"], &[]),
    // Llama 2 writes the system text otherwise, and so does Mistral from its seventh tokenizer on.
    (
        ChatFamily::Mistral,
        &["[INST]", "[/INST]"],
        &["<<SYS>>", "[SYSTEM_PROMPT]"],
    ),
    (
        ChatFamily::DeepSeek,
        &["<｜User｜>", "<｜Assistant｜>"],
        &[],
    ),
];

impl ChatFamily {
    /// The family of a template; `None` where no family's marks are there, or those of two.
    #[must_use]
    pub fn of(jinja: &str) -> Option<Self> {
        let has = |mark: &&str| jinja.contains(*mark);
        let mut found = MARKS
            .iter()
            .filter(|(_, all, none)| all.iter().all(has) && !none.iter().any(has))
            .map(|(family, ..)| *family);
        let first = found.next();
        first.filter(|_| found.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::smollm2(
        "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'}}",
        Some(ChatFamily::ChatML)
    )]
    #[case::llama3(
        "'<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' + content + '<|eot_id|>'",
        Some(ChatFamily::Llama3)
    )]
    #[case::gemma(
        "'<start_of_turn>' + role + '\\n' + content + '<end_of_turn>\\n'",
        Some(ChatFamily::Gemma)
    )]
    #[case::phi3(
        "'<|user|>' + '\\n' + content + '<|end|>' + '\\n' + '<|assistant|>'",
        Some(ChatFamily::Phi3)
    )]
    #[case::mistral("'[INST] ' + content + ' [/INST]'", Some(ChatFamily::Mistral))]
    #[case::deepseek(
        "'<｜User｜>' + content + '<｜Assistant｜>'",
        Some(ChatFamily::DeepSeek)
    )]
    #[case::llama2("'[INST] <<SYS>>' + content + '[/INST]'", None)]
    #[case::mistral_v7("'[SYSTEM_PROMPT]' + '[INST]' + content + '[/INST]'", None)]
    #[case::phi4("'<|im_start|>user<|im_sep|>' + content + '<|im_end|>'", None)]
    #[case::two("'<|im_start|>' '<|im_end|>' '[INST]' '[/INST]'", None)]
    #[case::half("'<|im_start|>'", None)]
    #[case::other("{{ messages }}", None)]
    #[case::empty("", None)]
    fn families_are_known_by_their_tokens(
        #[case] jinja: &str,
        #[case] expected: Option<ChatFamily>,
    ) {
        assert_eq!(ChatFamily::of(jinja), expected);
    }
}
