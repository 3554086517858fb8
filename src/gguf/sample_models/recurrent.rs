//! Models with recurrent layers, alone or between attention.

use super::{F16, F32, Layer, Q4_K, Q6_K, Q8_0, Shape};
use crate::gguf::sample::Sample;

/// No attention: a state of fixed size.
pub(super) fn mamba() -> Sample {
    let shape = Shape {
        arch: "mamba",
        layers: 64,
        width: 2_560,
        heads: 0,
        feed_forward: 0,
        context: 1_048_576,
        vocabulary: 50_280,
    };
    let sample = shape
        .start()
        .int("mamba.feed_forward_length", 0)
        .int("mamba.attention.head_count", 0)
        .int("mamba.ssm.conv_kernel", 4)
        .int("mamba.ssm.inner_size", 5_120)
        .int("mamba.ssm.state_size", 16)
        .int("mamba.ssm.time_step_rank", 160);
    let sample = shape.ends(sample, Q8_0, None);
    (0..shape.layers).fold(sample, |sample, index| {
        Layer::new(sample, &shape, index)
            .norms(&["attn_norm.weight"])
            .add("ssm_in.weight", &[2_560, 10_240], Q8_0)
            .add("ssm_conv1d.weight", &[4, 5_120], F32)
            .add("ssm_conv1d.bias", &[5_120], F32)
            .add("ssm_x.weight", &[5_120, 192], Q8_0)
            .add("ssm_dt.weight", &[160, 5_120], Q8_0)
            .add("ssm_dt.bias", &[5_120], F32)
            .add("ssm_a", &[16, 5_120], F32)
            .add("ssm_d", &[5_120], F32)
            .add("ssm_out.weight", &[5_120, 2_560], Q8_0)
            .sample
    })
}

/// The keys and the tensors of a Mamba 2 layer.
struct Ssm {
    inner: u32,
    state: u32,
    heads: u32,
    groups: u32,
}

impl Ssm {
    fn keys(&self, sample: Sample, arch: &str) -> Sample {
        let key = |name: &str| format!("{arch}.ssm.{name}");
        sample
            .int(&key("conv_kernel"), 4)
            .int(&key("inner_size"), self.inner)
            .int(&key("state_size"), self.state)
            .int(&key("time_step_rank"), self.heads)
            .int(&key("group_count"), self.groups)
    }

    fn tensors<'a>(&self, layer: Layer<'a>) -> Layer<'a> {
        let width = layer.shape.width;
        let mixed = self.inner + 2 * self.groups * self.state;
        layer
            .add(
                "ssm_in.weight",
                &[width, self.inner + mixed + self.heads],
                Q8_0,
            )
            .add("ssm_conv1d.weight", &[4, mixed], F32)
            .add("ssm_conv1d.bias", &[mixed], F32)
            .add("ssm_dt.bias", &[self.heads], F32)
            .add("ssm_a", &[1, self.heads], F32)
            .add("ssm_d", &[1, self.heads], F32)
            .add(
                "ssm_norm.weight",
                &[self.inner / self.groups, self.groups],
                F32,
            )
            .add("ssm_out.weight", &[self.inner, width], Q8_0)
    }
}

pub(super) fn mamba2() -> Sample {
    let shape = Shape {
        arch: "mamba2",
        layers: 64,
        width: 2_560,
        heads: 0,
        feed_forward: 0,
        context: 1_048_576,
        vocabulary: 50_288,
    };
    let ssm = Ssm {
        inner: 5_120,
        state: 128,
        heads: 80,
        groups: 1,
    };
    let sample = shape
        .start()
        .int("mamba2.feed_forward_length", 0)
        .int("mamba2.attention.head_count", 0);
    let sample = shape.ends(ssm.keys(sample, "mamba2"), Q8_0, None);
    (0..shape.layers).fold(sample, |sample, index| {
        let layer = Layer::new(sample, &shape, index).norms(&["attn_norm.weight"]);
        ssm.tensors(layer).sample
    })
}

/// Mamba 2 with attention in every tenth layer.
pub(super) fn granite_hybrid() -> Sample {
    let shape = Shape {
        arch: "granitehybrid",
        layers: 40,
        width: 2_048,
        heads: 32,
        feed_forward: 8_192,
        context: 131_072,
        vocabulary: 100_352,
    };
    let ssm = Ssm {
        inner: 4_096,
        state: 128,
        heads: 64,
        groups: 1,
    };
    let kv: Vec<u32> = (0..40).map(|l| if l % 10 == 5 { 8 } else { 0 }).collect();
    let sample = shape
        .start()
        .int("granitehybrid.feed_forward_length", 8_192)
        .int("granitehybrid.attention.head_count", 32)
        .ints("granitehybrid.attention.head_count_kv", &kv)
        .int("granitehybrid.rope.dimension_count", 64)
        .float("granitehybrid.attention.scale", 0.015_625)
        .float("granitehybrid.embedding_scale", 12.0)
        .float("granitehybrid.residual_scale", 0.22)
        .float("granitehybrid.logit_scale", 8.0);
    let sample = shape.ends(ssm.keys(sample, shape.arch), Q8_0, None);
    (0..shape.layers)
        .zip(kv)
        .fold(sample, |sample, (index, kv)| {
            let layer = Layer::new(sample, &shape, index)
                .norms(&["attn_norm.weight", "ffn_norm.weight"])
                .feed_forward(8_192, Q8_0, Q8_0);
            if kv > 0 {
                layer.attention(32, kv, 64, Q8_0).sample
            } else {
                ssm.tensors(layer).sample
            }
        })
}

/// Short convolutions with attention in some layers.
pub(super) fn lfm2() -> Sample {
    let shape = Shape {
        arch: "lfm2",
        layers: 16,
        width: 2_048,
        heads: 32,
        feed_forward: 8_192,
        context: 128_000,
        vocabulary: 65_536,
    };
    let kv: Vec<u32> = (0..16)
        .map(|l| {
            if [2, 5, 8, 10, 12, 14].contains(&l) {
                8
            } else {
                0
            }
        })
        .collect();
    let sample = shape
        .start()
        .int("lfm2.feed_forward_length", 8_192)
        .int("lfm2.attention.head_count", 32)
        .ints("lfm2.attention.head_count_kv", &kv)
        .int("lfm2.shortconv.l_cache", 3);
    let table = [2_048, 65_536];
    let sample = sample.weight("token_embd.weight", &table, Q8_0).weight(
        "token_embd_norm.weight",
        &[2_048],
        F32,
    );
    (0..shape.layers)
        .zip(kv)
        .fold(sample, |sample, (index, kv)| {
            let layer = Layer::new(sample, &shape, index)
                .norms(&["attn_norm.weight", "ffn_norm.weight"])
                .feed_forward(8_192, Q8_0, Q8_0);
            let layer = if kv > 0 {
                layer
                    .attention(32, kv, 64, Q8_0)
                    .add("attn_q_norm.weight", &[64], F32)
                    .add("attn_k_norm.weight", &[64], F32)
            } else {
                layer
                    .add("shortconv.conv.weight", &[3, 2_048], F32)
                    .add("shortconv.in_proj.weight", &[2_048, 6_144], Q8_0)
                    .add("shortconv.out_proj.weight", &[2_048, 2_048], Q8_0)
            };
            layer.sample
        })
}

/// Three of four layers have a gated delta net, which every fourth's attention does not.
pub(super) fn qwen3next() -> Sample {
    let shape = Shape {
        arch: "qwen3next",
        layers: 48,
        width: 2_048,
        heads: 16,
        feed_forward: 5_120,
        context: 262_144,
        vocabulary: 151_936,
    };
    let sample = shape
        .attention(2, 256)
        .int("qwen3next.expert_count", 512)
        .int("qwen3next.expert_used_count", 10)
        .int("qwen3next.expert_feed_forward_length", 512)
        .int("qwen3next.expert_shared_feed_forward_length", 512)
        .int("qwen3next.ssm.conv_kernel", 4)
        .int("qwen3next.ssm.inner_size", 4_096)
        .int("qwen3next.ssm.state_size", 128)
        .int("qwen3next.ssm.time_step_rank", 32)
        .int("qwen3next.ssm.group_count", 16);
    let sample = shape.ends(sample, Q4_K, Some(Q6_K));
    (0..shape.layers).fold(sample, |sample, index| {
        let mut layer = Layer::new(sample, &shape, index)
            .norms(&["attn_norm.weight", "post_attention_norm.weight"])
            .experts(512, 512, Q4_K)
            .shared_expert(512, Q4_K)
            .add("ffn_gate_inp_shexp.weight", &[2_048], F32);
        layer = if index % 4 == 3 {
            layer
                .add("attn_q.weight", &[2_048, 8_192], Q4_K)
                .add("attn_k.weight", &[2_048, 512], Q4_K)
                .add("attn_v.weight", &[2_048, 512], Q4_K)
                .add("attn_output.weight", &[4_096, 2_048], Q4_K)
                .add("attn_q_norm.weight", &[256], F32)
                .add("attn_k_norm.weight", &[256], F32)
        } else {
            layer
                .add("ssm_in.weight", &[2_048, 12_288], Q4_K)
                .add("ssm_conv1d.weight", &[4, 8_192], F32)
                .add("ssm_dt.bias", &[32], F32)
                .add("ssm_a", &[32], F32)
                .add("ssm_ba.weight", &[2_048, 64], F16)
                .add("ssm_norm.weight", &[128], F32)
                .add("ssm_out.weight", &[4_096, 2_048], Q4_K)
        };
        layer.sample
    })
}
