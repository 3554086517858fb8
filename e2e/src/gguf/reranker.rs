//! A reranker made of noise: what it says of a document hangs on each of its letters, and on nothing that it means.

use super::Gguf;

const WIDTH: u32 = 32;
const HEADS: u32 = 2;
const LAYERS: u32 = 2;
const FEED_FORWARD: u32 = 64;
/// Tokens of a query and a document together.
pub const CONTEXT: u32 = 256;

/// In the order of their numbers.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const CONTROL: i32 = 3;
const NORMAL: i32 = 1;

/// A GGUF file of 120 KB: BERT with an output that ranks (llama.cpp, `llm_build_bert` and `LLAMA_POOLING_TYPE_RANK`).
#[must_use]
pub fn bytes() -> Vec<u8> {
    let file = Gguf::new("bert")
        .text("general.type", "model")
        .text("general.license", "apache-2.0")
        .int("general.file_type", 0)
        .int("bert.block_count", LAYERS)
        .int("bert.context_length", CONTEXT)
        .int("bert.embedding_length", WIDTH)
        .int("bert.feed_forward_length", FEED_FORWARD)
        .int("bert.attention.head_count", HEADS)
        .float("bert.attention.layer_norm_epsilon", 1e-12)
        .flag("bert.attention.causal", false)
        .int("bert.pooling_type", 4);
    let tokens = tokens();
    let file = ends(tokenizer(file, &tokens), tokens.len() as u32);
    (0..LAYERS).fold(file, layer).bytes()
}

/// Every small letter and digit, at the start of a word and within one, so that no two words are the same to it. What
/// begins a word has the mark that converters write (llama.cpp, `convert_hf_to_gguf.py`, `BertModel`).
fn tokens() -> Vec<String> {
    let letters = || ('a'..='z').chain('0'..='9');
    let first = letters().chain(".,?!".chars()).map(|c| format!("▁{c}"));
    let further = letters().map(String::from);
    let special = SPECIAL.map(str::to_owned).into_iter();
    special.chain(first).chain(further).collect()
}

/// WordPiece.
fn tokenizer(file: Gguf, tokens: &[String]) -> Gguf {
    let kind = |n: usize| if n < SPECIAL.len() { CONTROL } else { NORMAL };
    let kinds: Vec<i32> = (0..tokens.len()).map(kind).collect();
    file.text("tokenizer.ggml.model", "bert")
        .texts("tokenizer.ggml.tokens", tokens)
        .ints("tokenizer.ggml.token_type", &kinds)
        .int("tokenizer.ggml.token_type_count", 2)
        .int("tokenizer.ggml.padding_token_id", 0)
        .int("tokenizer.ggml.unknown_token_id", 1)
        .int("tokenizer.ggml.bos_token_id", 2)
        .int("tokenizer.ggml.seperator_token_id", 3)
        .int("tokenizer.ggml.mask_token_id", 4)
}

/// What the layers begin with, and the output that ranks.
fn ends(file: Gguf, vocabulary: u32) -> Gguf {
    file.noise("token_embd.weight", &[WIDTH, vocabulary], 1.0)
        .noise("position_embd.weight", &[WIDTH, CONTEXT], 1.0)
        .noise("token_types.weight", &[WIDTH, 2], 1.0)
        .norm("token_embd_norm", WIDTH)
        .linear("cls", [WIDTH, WIDTH])
        .linear("cls.output", [WIDTH, 1])
}

fn layer(file: Gguf, layer: u32) -> Gguf {
    let name = |part: &str| format!("blk.{layer}.{part}");
    file.linear(&name("attn_q"), [WIDTH, WIDTH])
        .linear(&name("attn_k"), [WIDTH, WIDTH])
        .linear(&name("attn_v"), [WIDTH, WIDTH])
        .linear(&name("attn_output"), [WIDTH, WIDTH])
        .norm(&name("attn_output_norm"), WIDTH)
        .linear(&name("ffn_up"), [WIDTH, FEED_FORWARD])
        .linear(&name("ffn_down"), [FEED_FORWARD, WIDTH])
        .norm(&name("layer_output_norm"), WIDTH)
}

#[cfg(test)]
mod tests {
    use sealroom::gguf::{Geometry, Header, Kind, Limits, ModelPooling};

    use super::*;

    /// These bytes were tried with llama-server of build 11669: other letters had other scores, and the same text the
    /// same.
    #[test]
    fn the_bytes_are_those_that_were_tried() {
        let digest = "sha256:f29b7017dc6cfeceaf6f6393038f67f8320e2e05495cd6198c31bc393efaf074";
        assert_eq!(crate::registry::digest(&bytes()), digest);
    }

    #[test]
    fn the_plan_reads_a_reranker() {
        let file = bytes();
        let length = file.len() as u64;
        let header = Header::read(&*file, length, Limits::default()).unwrap();
        header.must_be(Kind::Model).unwrap();
        assert_eq!(ModelPooling::of(&header), ModelPooling::Rank);
        let geometry = Geometry::from_header(&header).unwrap();
        assert_eq!(geometry.context_length, CONTEXT);
        assert_eq!(geometry.layer_count(), LAYERS);
    }
}
