//! Headers of models as published, by architecture: the oracle loads them, so every tensor is there that
//! llama.cpp asks for. Only sizes count; a file of such a header has no weights worth the name.

use super::sample::Sample;

const F32: u32 = 0;
const F16: u32 = 1;
const Q4_1: u32 = 3;
const Q5_0: u32 = 6;
const Q8_0: u32 = 8;
const Q4_K: u32 = 12;
const Q6_K: u32 = 14;
const MXFP4: u32 = 39;

/// Every model by name.
pub(super) fn all() -> Vec<(&'static str, Sample)> {
    vec![
        ("smollm2-135m", smollm2()),
        ("llama-8b", llama_8b()),
        ("deci", deci()),
        ("gemma3-270m", gemma3_270m()),
        ("gemma3-12b", gemma3_12b()),
        ("gpt-oss-20b", gpt_oss()),
        ("qwen3moe-30b", qwen3moe()),
        ("deepseek-v2-lite", deepseek(27, false)),
        ("deepseek-v3", deepseek(61, true)),
        ("mamba-2.8b", mamba()),
        ("mamba2-2.7b", mamba2()),
        ("granite-hybrid", granite_hybrid()),
        ("lfm2-1.2b", lfm2()),
        ("qwen3next-80b", qwen3next()),
    ]
}

/// What every transformer has.
struct Shape {
    arch: &'static str,
    layers: u32,
    width: u32,
    heads: u32,
    feed_forward: u32,
    context: u32,
    vocabulary: u32,
}

impl Shape {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.arch)
    }

    fn start(&self) -> Sample {
        Sample::default()
            .text("general.architecture", self.arch)
            .text("general.type", "model")
            .text("tokenizer.ggml.model", "none")
            .int(&self.key("vocab_size"), self.vocabulary)
            .int(&self.key("context_length"), self.context)
            .int(&self.key("embedding_length"), self.width)
            .int(&self.key("block_count"), self.layers)
            .float(&self.key("attention.layer_norm_rms_epsilon"), 1e-6)
    }

    fn attention(&self, kv_heads: u32, head: u32) -> Sample {
        self.start()
            .int(&self.key("feed_forward_length"), self.feed_forward)
            .int(&self.key("attention.head_count"), self.heads)
            .int(&self.key("attention.head_count_kv"), kv_heads)
            .int(&self.key("attention.key_length"), head)
            .int(&self.key("attention.value_length"), head)
            .int(&self.key("rope.dimension_count"), head)
    }

    /// Token embedding and, unless it is tied, the output.
    fn ends(&self, sample: Sample, embedding: u32, output: Option<u32>) -> Sample {
        let table = [u64::from(self.width), u64::from(self.vocabulary)];
        let sample = sample
            .weight("token_embd.weight", &table, embedding)
            .weight("output_norm.weight", &[u64::from(self.width)], F32);
        match output {
            Some(kind) => sample.weight("output.weight", &table, kind),
            None => sample,
        }
    }
}

/// Tensors of one layer.
struct Layer<'a> {
    sample: Sample,
    prefix: String,
    shape: &'a Shape,
}

impl<'a> Layer<'a> {
    fn new(sample: Sample, shape: &'a Shape, index: u32) -> Self {
        let prefix = format!("blk.{index}.");
        Self {
            sample,
            prefix,
            shape,
        }
    }

    fn add(mut self, name: &str, dimensions: &[u32], kind: u32) -> Self {
        let dimensions: Vec<u64> = dimensions.iter().copied().map(u64::from).collect();
        let name = format!("{}{name}", self.prefix);
        self.sample = self.sample.weight(&name, &dimensions, kind);
        self
    }

    fn norms(mut self, names: &[&str]) -> Self {
        let width = self.shape.width;
        for name in names {
            self = self.add(name, &[width], F32);
        }
        self
    }

    fn attention(self, heads: u32, kv_heads: u32, head: u32, kind: u32) -> Self {
        let width = self.shape.width;
        self.add("attn_q.weight", &[width, heads * head], kind)
            .add("attn_k.weight", &[width, kv_heads * head], kind)
            .add("attn_v.weight", &[width, kv_heads * head], kind)
            .add("attn_output.weight", &[heads * head, width], kind)
    }

    fn feed_forward(self, length: u32, kind: u32, down: u32) -> Self {
        let width = self.shape.width;
        self.add("ffn_gate.weight", &[width, length], kind)
            .add("ffn_up.weight", &[width, length], kind)
            .add("ffn_down.weight", &[length, width], down)
    }

    fn experts(self, count: u32, length: u32, kind: u32) -> Self {
        let width = self.shape.width;
        self.add("ffn_gate_inp.weight", &[width, count], F32)
            .add("ffn_gate_exps.weight", &[width, length, count], kind)
            .add("ffn_up_exps.weight", &[width, length, count], kind)
            .add("ffn_down_exps.weight", &[length, width, count], kind)
    }

    fn shared_expert(self, length: u32, kind: u32) -> Self {
        let width = self.shape.width;
        self.add("ffn_gate_shexp.weight", &[width, length], kind)
            .add("ffn_up_shexp.weight", &[width, length], kind)
            .add("ffn_down_shexp.weight", &[length, width], kind)
    }
}

/// Grouped heads, as published: Q4_1 with an embedding of 8 bits that is the output too.
fn smollm2() -> Sample {
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

fn llama_8b() -> Sample {
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
fn deci() -> Sample {
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
fn gemma3_270m() -> Sample {
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

fn gemma3_12b() -> Sample {
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

/// Every second layer sees a window; experts of 4 bits.
fn gpt_oss() -> Sample {
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
fn qwen3moe() -> Sample {
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
fn deepseek(layers: u32, full: bool) -> Sample {
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

/// No attention: a state of fixed size.
fn mamba() -> Sample {
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

fn mamba2() -> Sample {
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
fn granite_hybrid() -> Sample {
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
fn lfm2() -> Sample {
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
fn qwen3next() -> Sample {
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
