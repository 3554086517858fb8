//! A multimodal projector for the model of the tests, made of noise: it shows the model something of each image, and
//! nothing that the model understands.

use super::Gguf;

/// SmolLM2-135M: the width of a token.
const MODEL: u32 = 576;
const WIDTH: u32 = 32;
const FEED_FORWARD: u32 = 64;
/// An image is made as wide and high as this, and cut into squares.
const IMAGE: u32 = 32;
const PATCH: u32 = 8;
/// Tokens that an image becomes.
pub const TOKENS: u32 = (IMAGE / PATCH) * (IMAGE / PATCH);

/// A GGUF file of 130 KB: the kind `mlp`, as LLaVA has it (llama.cpp, `clip_graph_llava`).
#[must_use]
pub fn bytes() -> Vec<u8> {
    let file = Gguf::new("clip")
        .text("general.type", "mmproj")
        .int("general.file_type", 0)
        .flag("clip.has_vision_encoder", true)
        .text("clip.projector_type", "mlp")
        .flag("clip.use_gelu", true)
        .int("clip.vision.image_size", IMAGE)
        .int("clip.vision.patch_size", PATCH)
        .int("clip.vision.embedding_length", WIDTH)
        .int("clip.vision.feed_forward_length", FEED_FORWARD)
        .int("clip.vision.projection_dim", MODEL)
        .int("clip.vision.block_count", 1)
        .int("clip.vision.attention.head_count", 1)
        .float("clip.vision.attention.layer_norm_epsilon", 1e-5)
        .floats("clip.vision.image_mean", &[0.5; 3])
        .floats("clip.vision.image_std", &[0.5; 3]);
    let square = PATCH * PATCH * 3;
    let largest = (3.0 / square as f32).sqrt();
    // The last layer is not computed: this one only has to be there.
    file.noise("v.patch_embd.weight", &[PATCH, PATCH, 3, WIDTH], largest)
        .noise("v.position_embd.weight", &[WIDTH, TOKENS], 1.0)
        .norm("v.blk.0.ln1", WIDTH)
        .linear("v.blk.0.attn_q", [WIDTH, WIDTH])
        .linear("v.blk.0.attn_k", [WIDTH, WIDTH])
        .linear("v.blk.0.attn_v", [WIDTH, WIDTH])
        .linear("v.blk.0.attn_out", [WIDTH, WIDTH])
        .norm("v.blk.0.ln2", WIDTH)
        .linear("v.blk.0.ffn_up", [WIDTH, FEED_FORWARD])
        .linear("v.blk.0.ffn_down", [FEED_FORWARD, WIDTH])
        .linear("mm.0", [WIDTH, WIDTH])
        .linear("mm.2", [WIDTH, MODEL])
        .bytes()
}

#[cfg(test)]
mod tests {
    use sealroom::gguf::{Header, Kind, Limits};

    use super::*;

    /// These bytes were tried with llama-server of build 11669 and SmolLM2: other answers for other images.
    #[test]
    fn the_bytes_are_those_that_were_tried() {
        let digest = "sha256:f452a104d8a801e3604656e276735bac7c68661c723bff71f1824ba916e86b64";
        assert_eq!(crate::registry::digest(&bytes()), digest);
    }

    #[test]
    fn the_plan_reads_a_projector() {
        let file = bytes();
        let length = file.len() as u64;
        let header = Header::read(&*file, length, Limits::default()).unwrap();
        header.must_be(Kind::Projector).unwrap();
    }
}
