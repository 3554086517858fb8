//! The settings of llama-server.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::runtime::{context_length, parallel};
use super::{Adapter, FlashAttention, KvCacheType, Mode, Pooling, Projector};
use crate::engine::{Task, Tuning};

/// llama-server's own `--batch-size`.
const ENGINES_BATCH: u32 = 2_048;

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
    /// Of mode Embedding: how the vectors of a text's tokens become one. `Mean`: their mean. `Cls`: the first token's.
    /// `Last`: the last token's. Without it, as the model's file says; it must be given for a model that says nothing,
    /// such as one that was made to write text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Tokens of context, shared evenly by the parallel requests: with `parallel: 2` each has half of them. 256 to 1048576,
    /// 4096 by default.
    #[serde(default = "context_length")]
    #[schemars(range(min = 256, max = 1_048_576))]
    pub context_length: u32,
    /// How many requests are computed at once: 1 to 64, 1 by default.
    #[serde(default = "parallel")]
    #[schemars(range(min = 1, max = 64))]
    pub parallel: u32,
    /// Threads of computation: 1 to 512. Without it: the CPU limit or request, rounded up, else 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 512))]
    pub threads: Option<u32>,
    /// Type of the cached keys: `F16` (default), `Q8_0` with about half its memory, or `Q4_0` with about a quarter.
    #[serde(default)]
    pub cache_type_k: KvCacheType,
    /// Type of the cached values, by the same words as cacheTypeK.
    #[serde(default)]
    pub cache_type_v: KvCacheType,
    /// Tokens of a prompt that are handed to the model at once, of all parallel requests: 32 to 1048576. Without it: 2048,
    /// or microBatchSize where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 1_048_576))]
    pub batch_size: Option<u32>,
    /// Tokens of these that are computed at once: 32 to 1048576, at most batchSize. The memory for a computation grows with
    /// it. Without it: 512, and in the modes Embedding and Rerank the context of one request, because a text must fit in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 1_048_576))]
    pub micro_batch_size: Option<u32>,
    /// How many layers an accelerator holds, from the last one: 0 to 999. The output counts as one, and 999 means all.
    /// Without it: all of them where resources asks for an accelerator of `nvidia.com`, `amd.com` or `gpu.intel.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 999))]
    pub gpu_layers: Option<u32>,
    /// Whether attention is computed without its whole matrix in memory. `Auto` (default): where the engine finds
    /// that its backend can. `Always`: the engine does not start where it cannot.
    #[serde(default)]
    pub flash_attention: FlashAttention,
    /// The chat template, in Jinja, instead of the one in the model's file: at most 16384 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16_384))]
    pub chat_template: Option<String>,
    /// LoRA adapters, at most 4, applied to every request, each by its scale. Each is an artifact of its own, pulled into
    /// a volume of its own and verified like the model.
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

impl LlamaCpp {
    /// What the model does.
    pub(super) fn task(&self) -> Task {
        Task {
            mode: self.mode,
            template: self.chat_template.clone(),
            stop: Vec::new(),
        }
    }

    /// How the engine serves. `cpus` is how many threads there are where they do not say.
    pub(super) fn tuning(&self, cpus: u32) -> Tuning {
        let threads = self.threads.unwrap_or(cpus);
        let (batch, micro_batch) = self.batches();
        Tuning {
            cache_k: self.cache_type_k.into(),
            cache_v: self.cache_type_v.into(),
            pooling: self.pooling,
            batch,
            micro_batch,
            gpu_layers: self.gpu_layers,
            flash_attention: self.flash_attention,
            ..Tuning::new(self.context_length, self.parallel, threads)
        }
    }

    /// Tokens that are handed to the model at once, and those of them that are computed at once, where that is not the
    /// engine's own choice.
    fn batches(&self) -> (Option<u32>, Option<u32>) {
        // A text of which a vector is made must fit into one computation.
        let whole = (self.mode != Mode::Completion)
            .then(|| self.context_length.div_ceil(self.parallel.max(1)));
        let whole = whole.map(|whole| whole.min(self.batch_size.unwrap_or(u32::MAX)));
        let micro = self.micro_batch_size.or(whole);
        // The engine cuts the one to the other.
        let batch = self
            .batch_size
            .or(micro.filter(|micro| *micro > ENGINES_BATCH));
        (batch, micro)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of which a vector is made fits into one computation, and the memory is counted for it.
    #[rstest::rstest]
    #[case::completion(Mode::Completion, None, None, (None, None))]
    #[case::vectors(Mode::Embedding, None, None, (Some(4_096), Some(4_096)))]
    #[case::ranks(Mode::Rerank, None, Some(256), (None, Some(256)))]
    #[case::small_batch(Mode::Embedding, Some(1_024), None, (Some(1_024), Some(1_024)))]
    #[case::large_micro_batch(Mode::Completion, None, Some(3_000), (Some(3_000), Some(3_000)))]
    #[case::both(Mode::Completion, Some(512), Some(128), (Some(512), Some(128)))]
    fn batches_follow_the_mode(
        #[case] mode: Mode,
        #[case] batch_size: Option<u32>,
        #[case] micro_batch_size: Option<u32>,
        #[case] expected: (Option<u32>, Option<u32>),
    ) {
        let given = LlamaCpp {
            mode,
            batch_size,
            micro_batch_size,
            context_length: 8_192,
            parallel: 2,
            ..LlamaCpp::default()
        };
        let tuning = given.tuning(2);
        assert_eq!((tuning.batch, tuning.micro_batch), expected);
    }
}
