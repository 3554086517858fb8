//! Mixtures of experts.

use super::{F32, Layer, MXFP4, Q4_K, Q5_0, Q6_K, Q8_0, Shape};
use crate::gguf::sample::Sample;

/// Every second layer sees a window; experts of 4 bits.
pub(super) fn gpt_oss() -> Sample {
    let shape = Shape {
        arch: "gpt-oss",
        layers: 24,
        width: 2_880,
        heads: 64,
        feed_forward: 2_880,
        context: 131_072,
        vocabulary: 201_088,
    };
    let sample = shape
        .attention(8, 64)
        .int("gpt-oss.attention.sliding_window", 128)
        .int("gpt-oss.expert_count", 32)
        .int("gpt-oss.expert_used_count", 4)
        .int("gpt-oss.expert_feed_forward_length", 2_880);
    let sample = shape.ends(sample, Q8_0, Some(Q8_0));
    (0..shape.layers).fold(sample, |sample, index| {
        Layer::new(sample, &shape, index)
            .norms(&["attn_norm.weight", "post_attention_norm.weight"])
            .attention(64, 8, 64, Q8_0)
            .add("attn_q.bias", &[4_096], F32)
            .add("attn_k.bias", &[512], F32)
            .add("attn_v.bias", &[512], F32)
            .add("attn_output.bias", &[2_880], F32)
            .add("attn_sinks.weight", &[64], F32)
            .experts(32, 2_880, MXFP4)
            .add("ffn_gate_inp.bias", &[32], F32)
            .add("ffn_gate_exps.bias", &[2_880, 32], F32)
            .add("ffn_up_exps.bias", &[2_880, 32], F32)
            .add("ffn_down_exps.bias", &[2_880, 32], F32)
            .sample
    })
}

/// All experts count.
pub(super) fn qwen3moe() -> Sample {
    let shape = Shape {
        arch: "qwen3moe",
        layers: 48,
        width: 2_048,
        heads: 32,
        feed_forward: 6_144,
        context: 262_144,
        vocabulary: 151_936,
    };
    let sample = shape
        .attention(4, 128)
        .int("qwen3moe.expert_count", 128)
        .int("qwen3moe.expert_used_count", 8)
        .int("qwen3moe.expert_feed_forward_length", 768);
    let sample = shape.ends(sample, Q4_K, Some(Q6_K));
    (0..shape.layers).fold(sample, |sample, index| {
        Layer::new(sample, &shape, index)
            .norms(&["attn_norm.weight", "ffn_norm.weight"])
            .attention(32, 4, 128, Q4_K)
            .add("attn_q_norm.weight", &[128], F32)
            .add("attn_k_norm.weight", &[128], F32)
            .experts(128, 768, Q4_K)
            .sample
    })
}

/// A compressed cache: one key a token and layer, no value.
pub(super) fn deepseek(layers: u32, full: bool) -> Sample {
    let (heads, width, dense, experts, length) = if full {
        (128, 7_168, 3, 256, 2_048)
    } else {
        (16, 2_048, 1, 64, 1_408)
    };
    let shape = Shape {
        arch: "deepseek2",
        layers,
        width,
        heads,
        feed_forward: if full { 18_432 } else { 10_944 },
        context: 163_840,
        vocabulary: if full { 129_280 } else { 102_400 },
    };
    // The cache's lengths, the real ones of a head in the keys of their own.
    let mut sample = shape
        .start()
        .int("deepseek2.feed_forward_length", shape.feed_forward)
        .int("deepseek2.attention.head_count", heads)
        .int("deepseek2.attention.head_count_kv", 1)
        .int("deepseek2.attention.key_length", 576)
        .int("deepseek2.attention.value_length", 512)
        .int("deepseek2.attention.key_length_mla", 192)
        .int("deepseek2.attention.value_length_mla", 128)
        .int("deepseek2.attention.kv_lora_rank", 512)
        .int("deepseek2.rope.dimension_count", 64)
        .int("deepseek2.leading_dense_block_count", dense)
        .int("deepseek2.expert_count", experts)
        .int("deepseek2.expert_used_count", if full { 8 } else { 6 })
        .int("deepseek2.expert_shared_count", if full { 1 } else { 2 })
        .int("deepseek2.expert_feed_forward_length", length)
        .float("deepseek2.expert_weights_scale", 1.0);
    if full {
        sample = sample.int("deepseek2.attention.q_lora_rank", 1_536);
    }
    let shared = length * if full { 1 } else { 2 };
    let sample = shape.ends(sample, Q4_K, Some(Q6_K));
    (0..layers).fold(sample, |sample, index| {
        let mut layer = Layer::new(sample, &shape, index)
            .norms(&["attn_norm.weight", "ffn_norm.weight"])
            .add("attn_kv_a_norm.weight", &[512], F32)
            .add("attn_kv_a_mqa.weight", &[width, 576], Q4_K)
            .add("attn_k_b.weight", &[128, 512, heads], Q8_0)
            .add("attn_v_b.weight", &[512, 128, heads], Q8_0)
            .add("attn_output.weight", &[heads * 128, width], Q4_K);
        layer = if full {
            layer
                .add("attn_q_a_norm.weight", &[1_536], F32)
                .add("attn_q_a.weight", &[width, 1_536], Q4_K)
                .add("attn_q_b.weight", &[1_536, heads * 192], Q4_K)
        } else {
            layer.add("attn_q.weight", &[width, heads * 192], Q4_K)
        };
        let layer = if index < dense {
            let kind = if full { Q4_K } else { Q5_0 };
            layer.feed_forward(shape.feed_forward, Q4_K, kind)
        } else {
            let kind = if full { Q4_K } else { Q5_0 };
            let count = layer.shape.width;
            layer
                .add("ffn_gate_inp.weight", &[count, experts], F32)
                .add("ffn_gate_exps.weight", &[count, length, experts], Q4_K)
                .add("ffn_up_exps.weight", &[count, length, experts], Q4_K)
                .add("ffn_down_exps.weight", &[length, count, experts], kind)
                .shared_expert(shared, if full { Q4_K } else { Q5_0 })
        };
        layer.sample
    })
}
