//! Transformers, of which every token takes all weights.

use super::{F32, Layer, Q4_1, Q4_K, Q5_0, Q6_K, Q8_0, Shape};
use crate::gguf::sample::Sample;

/// Grouped heads, as published: Q4_1 with an embedding of 8 bits that is the output too.
pub(super) fn smollm2() -> Sample {
    let shape = Shape {
        arch: "llama",
        layers: 30,
        width: 576,
        heads: 9,
        feed_forward: 1_536,
        context: 8_192,
        vocabulary: 49_152,
    };
    let sample = shape.ends(shape.attention(3, 64), Q8_0, None);
    (0..shape.layers).fold(sample, |sample, index| {
        Layer::new(sample, &shape, index)
            .norms(&["attn_norm.weight", "ffn_norm.weight"])
            .attention(9, 3, 64, Q4_1)
            .feed_forward(1_536, Q4_1, Q4_1)
            .sample
    })
}

pub(super) fn llama_8b() -> Sample {
    let shape = Shape {
        arch: "llama",
        layers: 32,
        width: 4_096,
        heads: 32,
        feed_forward: 14_336,
        context: 131_072,
        vocabulary: 128_256,
    };
    let sample = shape.ends(shape.attention(8, 128), Q4_K, Some(Q6_K));
    (0..shape.layers).fold(sample, |sample, index| {
        // The half of the layers has larger weights, as in Q4_K_M.
        let down = if index % 2 == 0 { Q6_K } else { Q4_K };
        Layer::new(sample, &shape, index)
            .norms(&["attn_norm.weight", "ffn_norm.weight"])
            .attention(32, 8, 128, Q4_K)
            .feed_forward(14_336, Q4_K, down)
            .sample
    })
}

/// Heads by layer: some layers have no attention at all.
pub(super) fn deci() -> Sample {
    let shape = Shape {
        arch: "deci",
        layers: 24,
        width: 4_096,
        heads: 32,
        feed_forward: 8_192,
        context: 32_768,
        vocabulary: 128_256,
    };
    let heads: Vec<u32> = (0..24).map(|l| if l % 3 == 2 { 0 } else { 32 }).collect();
    let kv: Vec<u32> = (0..24)
        .map(|l| [8, 4, 0][usize::try_from(l % 3).unwrap()])
        .collect();
    let sample = shape
        .start()
        .ints("deci.feed_forward_length", &[8_192; 24])
        .ints("deci.attention.head_count", &heads)
        .ints("deci.attention.head_count_kv", &kv)
        .int("deci.rope.dimension_count", 128);
    let sample = shape.ends(sample, Q4_K, Some(Q6_K));
    (0..shape.layers)
        .zip(kv)
        .fold(sample, |sample, (index, kv)| {
            let mut layer = Layer::new(sample, &shape, index).norms(&["ffn_norm.weight"]);
            if kv > 0 {
                layer = layer
                    .norms(&["attn_norm.weight"])
                    .attention(32, kv, 128, Q4_K);
            }
            layer.feed_forward(8_192, Q4_K, Q4_K).sample
        })
}

fn gemma3(shape: &Shape, kv_heads: u32, window: u32, kinds: [u32; 3]) -> Sample {
    let sample = shape
        .attention(kv_heads, 256)
        .int("gemma3.attention.sliding_window", window);
    let sample = shape.ends(sample, kinds[0], None);
    (0..shape.layers).fold(sample, |sample, index| {
        let many = index % 2 == 0;
        let norms = [
            "attn_norm.weight",
            "post_attention_norm.weight",
            "ffn_norm.weight",
            "post_ffw_norm.weight",
        ];
        Layer::new(sample, shape, index)
            .norms(&norms)
            .add("attn_q_norm.weight", &[256], F32)
            .add("attn_k_norm.weight", &[256], F32)
            .attention(shape.heads, kv_heads, 256, kinds[1])
            .feed_forward(
                shape.feed_forward,
                kinds[1],
                if many { Q6_K } else { kinds[2] },
            )
            .sample
    })
}

/// Five of six layers see a window; the file does not say so.
pub(super) fn gemma3_270m() -> Sample {
    let shape = Shape {
        arch: "gemma3",
        layers: 18,
        width: 640,
        heads: 4,
        feed_forward: 2_048,
        context: 32_768,
        vocabulary: 262_144,
    };
    gemma3(&shape, 1, 512, [Q8_0, Q5_0, Q4_K])
}

pub(super) fn gemma3_12b() -> Sample {
    let shape = Shape {
        arch: "gemma3",
        layers: 48,
        width: 3_840,
        heads: 16,
        feed_forward: 15_360,
        context: 131_072,
        vocabulary: 262_208,
    };
    gemma3(&shape, 8, 1_024, [Q6_K, Q4_K, Q4_K])
}
