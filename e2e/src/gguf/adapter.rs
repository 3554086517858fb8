//! A LoRA adapter for the model of the tests, made of noise: with it the model answers nonsense.

use super::Gguf;

/// SmolLM2-135M: its layers, and the width of a token in them.
const LAYERS: u32 = 30;
const WIDTH: u32 = 576;
const RANK: u32 = 2;

/// A GGUF file of 280 KB: for the queries of each layer two matrices whose product is added to the model's
/// (llama.cpp, `convert_lora_to_gguf.py`).
#[must_use]
pub fn bytes() -> Vec<u8> {
    let file = Gguf::new("llama")
        .text("general.type", "adapter")
        .text("adapter.type", "lora")
        // The product counts by alpha divided by the rank: once.
        .float("adapter.lora.alpha", RANK as f32);
    let layers = (0..LAYERS).fold(file, |file, layer| {
        let name = |half| format!("blk.{layer}.attn_q.weight.lora_{half}");
        file.noise(&name("a"), &[WIDTH, RANK], 1.0)
            .noise(&name("b"), &[RANK, WIDTH], 1.0)
    });
    layers.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These bytes were tried with llama-server of build 11669: nonsense with a scale of 1, and with 0 the model's own
    /// answer.
    #[test]
    fn the_bytes_are_those_that_were_tried() {
        let digest = "sha256:2e7701dbc5f8b9d422e7b97568d520a1a73d1abc0365fbc058b31d8d0cb8472c";
        assert_eq!(crate::registry::digest(&bytes()), digest);
    }
}
