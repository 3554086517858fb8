//! Headers of models as published, by architecture: the oracle loads them, so every tensor is there that
//! llama.cpp asks for. Only sizes count; a file of such a header has no weights worth the name.

mod dense;
mod experts;
mod recurrent;

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
        ("smollm2-135m", dense::smollm2()),
        ("llama-8b", dense::llama_8b()),
        ("deci", dense::deci()),
        ("gemma3-270m", dense::gemma3_270m()),
        ("gemma3-12b", dense::gemma3_12b()),
        ("gpt-oss-20b", experts::gpt_oss()),
        ("qwen3moe-30b", experts::qwen3moe()),
        ("deepseek-v2-lite", experts::deepseek(27, false)),
        ("deepseek-v3", experts::deepseek(61, true)),
        ("mamba-2.8b", recurrent::mamba()),
        ("mamba2-2.7b", recurrent::mamba2()),
        ("granite-hybrid", recurrent::granite_hybrid()),
        ("lfm2-1.2b", recurrent::lfm2()),
        ("qwen3next-80b", recurrent::qwen3next()),
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
