//! The settings of Ollama.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::runtime::{context_length, parallel};
use super::{KvCacheType, Mode};
use crate::engine::{Task, Tuning};

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
    /// Tokens of context of one request: 256 to 1048576, 4096 by default.
    #[serde(default = "context_length")]
    #[schemars(range(min = 256, max = 1_048_576))]
    pub context_length: u32,
    /// How many requests are computed at once, each with a context of its own: 1 to 64, 1 by default.
    #[serde(default = "parallel")]
    #[schemars(range(min = 1, max = 64))]
    pub parallel: u32,
    /// Threads of computation: 1 to 512. Without it: the CPU limit or request, rounded up, else 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 512))]
    pub threads: Option<u32>,
    /// Type of the cached keys and values: `F16` (default), `Q8_0` with about half its memory, or `Q4_0` with about a
    /// quarter. The last two ask for flash attention.
    #[serde(default)]
    pub cache_type: KvCacheType,
    /// Tokens of a prompt that are computed at once: 32 to 1048576. The memory for a computation grows with it. Without
    /// it: 512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 1_048_576))]
    pub batch_size: Option<u32>,
    /// How many layers an accelerator holds, from the last one: 0 to 999. The output counts as one, and 999 means all.
    /// Without it: all of them where resources asks for an accelerator of `nvidia.com`, `amd.com` or `gpu.intel.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 999))]
    pub gpu_layers: Option<u32>,
    /// The chat template, in Go's `text/template` as Ollama has it, such as
    /// `{{ range .Messages }}<|im_start|>{{ .Role }}…`. Without it one is chosen by the family of the model's own
    /// template; for a model of no known family it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16_384))]
    pub template: Option<String>,
    /// Texts that end an answer, at most 16, beside those of the family where its template is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    pub stop: Vec<String>,
    /// Of several models: how many are loaded at once, 1 to 8. A request for another one waits until the requests to a loaded
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

impl Ollama {
    /// What the one model does; of several each says it itself.
    pub(super) fn task(&self) -> Task {
        Task {
            mode: self.mode,
            template: self.template.clone(),
            stop: self.stop.clone(),
        }
    }

    /// How the engine serves. `cpus` is how many threads there are where they do not say.
    pub(super) fn tuning(&self, cpus: u32) -> Tuning {
        let threads = self.threads.unwrap_or(cpus);
        Tuning {
            cache_k: self.cache_type.into(),
            cache_v: self.cache_type.into(),
            batch: self.batch_size,
            micro_batch: self.batch_size,
            gpu_layers: self.gpu_layers,
            max_loaded: self.max_loaded_models,
            ..Tuning::new(self.context_length, self.parallel, threads)
        }
    }
}
