//! How an engine serves, in words that hold for all of them.

use serde::{Deserialize, Serialize};

use super::{FlashAttention, Pooling};
use crate::gguf::KvType;

/// What the typed settings of an engine mean, for all of its models. Whoever builds a pod, counts its memory or lets
/// requests wait reads it, and need not know which engine it is. What each model does is its [`super::Task`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tuning {
    /// Tokens of context, as the engine's own setting counts them: llama.cpp of all slots together, Ollama of
    /// one request. [`super::Particulars::cached`] has those of all requests together.
    pub context: u32,
    /// Requests that are computed at once.
    pub parallel: u32,
    /// Requests that it is given at once: those beyond `parallel` wait in it.
    #[serde(default)]
    pub requests: u32,
    /// Threads of computation.
    pub threads: u32,
    /// Type of the cached keys.
    #[serde(default)]
    pub cache_k: KvType,
    /// Type of the cached values.
    #[serde(default)]
    pub cache_v: KvType,
    /// How the vectors of a text's tokens become one; without it, as the model says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Tokens that are handed to the model at once; without it, the engine's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Tokens of these that are computed at once; without it, the engine's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<u32>,
    /// Layers in an accelerator; without it, the engine's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_layers: Option<u32>,
    /// Whether flash attention is used.
    #[serde(default, skip_serializing_if = "FlashAttention::is_default")]
    pub flash_attention: FlashAttention,
    /// Of several models: how many may be loaded at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_loaded: Option<u32>,
}

impl Tuning {
    /// What holds where nothing else is said.
    #[must_use]
    pub fn new(context: u32, parallel: u32, threads: u32) -> Self {
        Self {
            context,
            parallel,
            requests: parallel.saturating_mul(2),
            threads,
            cache_k: KvType::default(),
            cache_v: KvType::default(),
            pooling: None,
            batch: None,
            micro_batch: None,
            gpu_layers: None,
            flash_attention: FlashAttention::default(),
            max_loaded: None,
        }
    }

    /// How many models may be loaded at once.
    #[must_use]
    pub fn loaded(&self) -> u32 {
        self.max_loaded.unwrap_or(1)
    }

    /// Of the tests.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self::new(2048, 2, 3)
    }
}
