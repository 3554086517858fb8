//! The engine of a [`super::ModelDeployment`].

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::engine::Engine;

/// The engine, its image and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.engine == 'LlamaCpp' || !has(self.llamaCpp)").message(
    "llamaCpp holds the settings of engine LlamaCpp only: write engine: LlamaCpp, or the member of the engine that is named"
))]
#[x_kube(validation = Rule::new("self.engine == 'Ollama' || !has(self.ollama)").message(
    "ollama holds the settings of engine Ollama only: write engine: Ollama, or the member of the engine that is named"
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
    /// Settings of `engine: LlamaCpp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llama_cpp: Option<LlamaCpp>,
    /// Settings of `engine: Ollama`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ollama: Option<Ollama>,
}

/// Settings of llama-server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LlamaCpp {
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
}

impl Default for LlamaCpp {
    fn default() -> Self {
        Self {
            context_length: context_length(),
            parallel: parallel(),
            threads: None,
            cache_type_k: KvCacheType::default(),
            cache_type_v: KvCacheType::default(),
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ollama {
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
}

impl Default for Ollama {
    fn default() -> Self {
        Self {
            context_length: context_length(),
            parallel: parallel(),
            threads: None,
            template: None,
            stop: Vec::new(),
        }
    }
}

fn context_length() -> u32 {
    4096
}

fn parallel() -> u32 {
    1
}
