//! The engine of a [`super::ModelDeployment`].

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Adapter, Projector};

pub use crate::engine::{Engine, FlashAttention, Mode, Pooling, Printed};

/// The engine, its image and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.engine == 'LlamaCpp' || !has(self.llamaCpp)").message(
    "llamaCpp holds the settings of engine LlamaCpp only: write engine: LlamaCpp, or the member of the engine that is named"
))]
#[x_kube(validation = Rule::new("self.engine == 'Ollama' || !has(self.ollama)").message(
    "ollama holds the settings of engine Ollama only: write engine: Ollama, or the member of the engine that is named"
))]
#[x_kube(validation = Rule::new("self.engine != 'Ollama' || !has(self.llamaCpp) || (!has(self.llamaCpp.adapters) && !has(self.llamaCpp.projector))").message(
    "Ollama is given no adapters and no projector here: write engine: LlamaCpp, or leave llamaCpp.adapters and llamaCpp.projector out"
))]
pub struct Runtime {
    /// The program that runs the model. It decides which member below may be written, and which format the
    /// artifact must have.
    pub engine: Engine,
    /// The engine's image by digest. Without one it is the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9][a-z0-9.-]*(:[0-9]+)?/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$')").message(
        "select the runtime's image by digest, not by tag: write host[:port]/repository@sha256:<64 lower-case hex digits>"
    ))]
    pub image: Option<String>,
    /// Further groups of the pod's processes, where the files of a device belong to one: those of `/dev/kfd` and
    /// `/dev/dri` on a node with an AMD accelerator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(range(min = 1, max = 2_147_483_647)))]
    pub supplemental_groups: Vec<i64>,
    /// What becomes of what the engine prints once it serves. `Drop` (default): it is counted and dropped, because it
    /// may hold prompts and answers. `Log`: it goes into the log of the container `runtime`, at most 50 lines a second
    /// of 512 bytes each, and status.seal.exits lists it. What it prints before it serves is always there.
    #[serde(default)]
    pub output: Printed,
    /// Settings of `engine: LlamaCpp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llama_cpp: Option<LlamaCpp>,
    /// Settings of `engine: Ollama`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ollama: Option<Ollama>,
}

/// Settings of llama-server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.pooling) || self.mode == 'Embedding'").message(
    "pooling says how a vector is made: write mode: Embedding, or leave pooling out"
))]
#[x_kube(validation = Rule::new("!has(self.chatTemplate) || self.mode == 'Completion'").message(
    "only a model that writes text has a chat: leave chatTemplate out, or write mode: Completion"
))]
#[x_kube(validation = Rule::new("!has(self.microBatchSize) || !has(self.batchSize) || self.microBatchSize <= self.batchSize").message(
    "a micro-batch is a part of a batch: write a microBatchSize of at most batchSize"
))]
#[x_kube(validation = Rule::new("!has(self.adapters) || self.adapters.all(a, self.adapters.exists_one(b, b.name == a.name))").message(
    "adapters: the status and messages tell them apart by the name, so give each adapter another one"
))]
#[x_kube(validation = Rule::new("!has(self.projector) || self.mode == 'Completion'").message(
    "only a model that writes text is shown images: leave projector out, or write mode: Completion"
))]
pub struct LlamaCpp {
    /// What the model is served for: it decides which routes there are. `Completion` (default):
    /// `/v1/chat/completions` and `/v1/completions`. `Embedding`: `/v1/embeddings`. `Rerank`: `/v1/rerank`.
    #[serde(default)]
    pub mode: Mode,
    /// Of mode Embedding: how the vectors of a text's tokens become one. Without it, as the model's file says; it
    /// must be given for a model that says nothing, such as one that was made to write text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Tokens of context, shared evenly by the parallel requests.
    #[serde(default = "context_length")]
    #[schemars(range(min = 256, max = 1_048_576))]
    pub context_length: u32,
    /// How many requests are computed at once.
    #[serde(default = "parallel")]
    #[schemars(range(min = 1, max = 64))]
    pub parallel: u32,
    /// Threads of computation. Without it: the CPU limit or request, rounded up, else 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 512))]
    pub threads: Option<u32>,
    /// Type of the cached keys. `Q8_0` takes about half the memory of `F16`.
    #[serde(default)]
    pub cache_type_k: KvCacheType,
    /// Type of the cached values.
    #[serde(default)]
    pub cache_type_v: KvCacheType,
    /// Tokens of a prompt that are handed to the model at once, of all parallel requests. Without it: 2048, or
    /// microBatchSize where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 1_048_576))]
    pub batch_size: Option<u32>,
    /// Tokens of these that are computed at once. The memory for a computation grows with it. Without it: 512, and in
    /// the modes Embedding and Rerank the context of one request, because a text must fit in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 1_048_576))]
    pub micro_batch_size: Option<u32>,
    /// How many layers an accelerator holds, from the last one; the output counts as one, and 999 means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 999))]
    pub gpu_layers: Option<u32>,
    /// Whether attention is computed without its whole matrix in memory. `Auto` (default): where the engine finds
    /// that its backend can. `Always`: the engine does not start where it cannot.
    #[serde(default)]
    pub flash_attention: FlashAttention,
    /// The chat template, in Jinja, instead of the one in the model's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16_384))]
    pub chat_template: Option<String>,
    /// LoRA adapters, applied to every request, each by its scale. Each is an artifact of its own, pulled into a volume
    /// of its own and verified like the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub adapters: Vec<Adapter>,
    /// A multimodal projector, so that messages may have images, as `data:` URLs. An artifact of its own, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projector: Option<Projector>,
}

impl Default for LlamaCpp {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            pooling: None,
            context_length: context_length(),
            parallel: parallel(),
            threads: None,
            cache_type_k: KvCacheType::default(),
            cache_type_v: KvCacheType::default(),
            batch_size: None,
            micro_batch_size: None,
            gpu_layers: None,
            flash_attention: FlashAttention::default(),
            chat_template: None,
            adapters: Vec::new(),
            projector: None,
        }
    }
}

/// Types of cached keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KvCacheType {
    /// 2 bytes an element.
    #[default]
    F16,
    /// 8.5 bits an element.
    #[serde(rename = "Q8_0")]
    Q8_0,
    /// 4.5 bits an element.
    #[serde(rename = "Q4_0")]
    Q4_0,
}

impl KvCacheType {
    /// As llama-server's `--cache-type-k` takes it.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }
}

/// Settings of Ollama.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode != 'Rerank'").message(
    "Ollama ranks no documents: write engine: LlamaCpp with llamaCpp.mode: Rerank"
))]
pub struct Ollama {
    /// What the model is served for: it decides which routes there are. `Completion` (default):
    /// `/v1/chat/completions` and `/v1/completions`. `Embedding`: `/v1/embeddings`. Ollama has no `Rerank`.
    #[serde(default)]
    pub mode: Mode,
    /// Tokens of context of one request.
    #[serde(default = "context_length")]
    #[schemars(range(min = 256, max = 1_048_576))]
    pub context_length: u32,
    /// How many requests are computed at once, each with a context of its own.
    #[serde(default = "parallel")]
    #[schemars(range(min = 1, max = 64))]
    pub parallel: u32,
    /// Threads of computation. Without it: the CPU limit or request, rounded up, else 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 512))]
    pub threads: Option<u32>,
    /// Type of the cached keys and values. `Q8_0` takes about half the memory of `F16`, and asks for flash attention.
    #[serde(default)]
    pub cache_type: KvCacheType,
    /// Tokens of a prompt that are computed at once. The memory for a computation grows with it. Without it: 512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 1_048_576))]
    pub batch_size: Option<u32>,
    /// How many layers an accelerator holds, from the last one; the output counts as one, and 999 means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 999))]
    pub gpu_layers: Option<u32>,
    /// The chat template, in Go's `text/template` as Ollama has it, such as
    /// `{{ range .Messages }}<|im_start|>{{ .Role }}…`. Without it one is chosen by the family of the model's own
    /// template; for a model of no known family it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16_384))]
    pub template: Option<String>,
    /// Texts that end an answer, beside those of the family where its template is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    pub stop: Vec<String>,
    /// Of several models: how many are loaded at once. A request for another one waits until the requests to a loaded
    /// one are done, and it takes its place. The memory is counted for the largest so many. Without it: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8))]
    pub max_loaded_models: Option<u32>,
}

impl Default for Ollama {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            context_length: context_length(),
            parallel: parallel(),
            threads: None,
            cache_type: KvCacheType::default(),
            batch_size: None,
            gpu_layers: None,
            template: None,
            stop: Vec::new(),
            max_loaded_models: None,
        }
    }
}

fn context_length() -> u32 {
    4096
}

fn parallel() -> u32 {
    1
}
