//! What of a model decides how much memory its context takes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GgufError, Header};

/// Layers that are alike as far as their cache goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayerGroup {
    /// How many layers.
    pub count: u32,
    /// Heads of keys and values of each.
    pub kv_heads: u32,
    /// Whether they see a sliding window only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sliding: bool,
}

/// A compressed cache of keys alone (multi-head latent attention, as in DeepSeek V2 and V3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LatentAttention {
    /// Elements of a cached token and layer: rank of the compression and the rotary part.
    pub length: u32,
}

/// The geometry of a model, small enough for a status.
///
/// The layers are grouped, not listed: their order makes no difference to memory, and models of a
/// hundred layers with alternating windows come out as two groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Geometry {
    /// Bytes of all tensors.
    pub weight_bytes: u64,
    /// Tokens that the model was trained to see.
    pub context_length: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Elements of a key, per head.
    pub key_length: u32,
    /// Elements of a value, per head.
    pub value_length: u32,
    /// Tokens that a sliding layer sees; 0 where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window: u32,
    /// Layers by group, largest group key first.
    pub layers: Vec<LayerGroup>,
    /// Where the cache is compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<LatentAttention>,
}

const MAX_LAYERS: u64 = 4_096;
const MAX_GROUPS: usize = 48;
const MAX_LENGTH: u64 = 1 << 24;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Every n-th layer sees everything, by architecture, where the metadata do not say so
/// (llama.cpp, `llama_model::load_hparams`, `set_swa_pattern`).
fn default_pattern(architecture: &str) -> Option<u64> {
    Some(match architecture {
        "gemma2" | "gpt-oss" => 2,
        "cohere2" | "llama4" | "exaone4" | "olmo2" => 4,
        "gemma3n" => 5,
        "gemma3" => 6,
        _ => return None,
    })
}

fn narrow(what: &'static str, value: u64) -> Result<u32, GgufError> {
    u32::try_from(value)
        .ok()
        .filter(|_| value <= MAX_LENGTH)
        .ok_or(GgufError::Limit {
            what,
            limit: MAX_LENGTH,
        })
}

impl Geometry {
    /// From a header.
    ///
    /// # Errors
    /// [`GgufError::Invalid`] where a number that every language model has is missing.
    pub fn from_header(header: &Header) -> Result<Self, GgufError> {
        let need = |key| {
            header.arch_int(key).ok_or(GgufError::Invalid(
                "block_count or embedding_length is missing",
            ))
        };
        let blocks = need("block_count")?;
        if blocks == 0 || blocks > MAX_LAYERS {
            return Err(GgufError::Limit {
                what: "the number of layers",
                limit: MAX_LAYERS,
            });
        }
        let embedding = need("embedding_length")?;
        let heads = header.arch_int("attention.head_count").or_else(|| {
            let per_layer = header.arch_ints("attention.head_count")?;
            per_layer.iter().copied().find(|heads| *heads > 0)
        });
        let per_head = heads
            .filter(|heads| *heads > 0)
            .map_or(0, |heads| embedding / heads);
        let latent = Self::latent(header)?;
        let window = header.arch_int("attention.sliding_window").unwrap_or(0);
        let length = |key| header.arch_int(key).unwrap_or(per_head);
        Ok(Self {
            weight_bytes: header.tensor_bytes,
            context_length: narrow(
                "the context length",
                header.arch_int("context_length").unwrap_or(0),
            )?,
            vocabulary: narrow("the vocabulary", header.vocabulary().unwrap_or(0))?,
            key_length: narrow("the length of a key", length("attention.key_length"))?,
            value_length: narrow("the length of a value", length("attention.value_length"))?,
            window: narrow("the sliding window", window)?,
            layers: groups(header, blocks, heads.unwrap_or(0), window)?,
            latent,
        })
    }

    fn latent(header: &Header) -> Result<Option<LatentAttention>, GgufError> {
        // Files from before the compressed cache have the rank, but not this key.
        let compressed = header.arch_int("attention.key_length_mla").is_some();
        let Some(rank) = header
            .arch_int("attention.kv_lora_rank")
            .filter(|_| compressed)
        else {
            return Ok(None);
        };
        let rotary = header.arch_int("rope.dimension_count").unwrap_or(0);
        let length = narrow("the length of a latent key", rank.saturating_add(rotary))?;
        Ok(Some(LatentAttention { length }))
    }

    /// How many layers there are.
    #[must_use]
    pub fn layer_count(&self) -> u32 {
        self.layers.iter().map(|group| group.count).sum()
    }
}

fn groups(
    header: &Header,
    blocks: u64,
    heads: u64,
    window: u64,
) -> Result<Vec<LayerGroup>, GgufError> {
    let per_layer = header.arch_ints("attention.head_count_kv");
    let same = header.arch_int("attention.head_count_kv").unwrap_or(heads);
    let listed = header.arch_ints("attention.sliding_window_pattern");
    let every = header
        .arch_int("attention.sliding_window_pattern")
        .or_else(|| default_pattern(&header.architecture));
    let mut counts = BTreeMap::<(bool, u32), u32>::new();
    for layer in 0..blocks {
        let index = usize::try_from(layer).unwrap_or(usize::MAX);
        let kv_heads = match per_layer {
            Some(list) => list.get(index).copied().ok_or(GgufError::Invalid(
                "head_count_kv lists fewer layers than there are",
            ))?,
            None => same,
        };
        // Without a known pattern every layer counts as seeing everything: too much rather than too little.
        let sliding = window > 0
            && match (listed, every) {
                (Some(list), _) => list.get(index).is_some_and(|flag| *flag != 0),
                (None, Some(n)) if n > 0 => layer % n < n - 1,
                _ => false,
            };
        *counts
            .entry((sliding, narrow("the heads of a layer", kv_heads)?))
            .or_default() += 1;
    }
    if counts.len() > MAX_GROUPS {
        return Err(GgufError::Limit {
            what: "the kinds of layers",
            limit: MAX_GROUPS as u64,
        });
    }
    Ok(counts
        .into_iter()
        .map(|((sliding, kv_heads), count)| LayerGroup {
            count,
            kv_heads,
            sliding,
        })
        .collect())
}
