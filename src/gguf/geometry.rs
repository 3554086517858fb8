//! What of a model decides how much memory it takes.

use serde::{Deserialize, Serialize};

use super::layers::{self, LayerGroup};
use super::{GgufError, Header};

/// A compressed cache of keys alone (multi-head latent attention, as in DeepSeek V2 and V3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LatentAttention {
    /// Elements of a cached token and layer: rank of the compression and the rotary part.
    pub length: u32,
}

/// The geometry of a model, small enough for a status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Geometry {
    /// Bytes of all tensors.
    pub weight_bytes: u64,
    /// Bytes of the table of token embeddings, which no accelerator holds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub embedding_bytes: u64,
    /// Whether that table is the output's too: then an accelerator holds a second one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tied: bool,
    /// Tokens that the model was trained to see.
    pub context_length: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Elements of a token between two layers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub width: u32,
    /// Elements of a token within a layer, where it needs most.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub activation: u32,
    /// Elements of a key, per head.
    pub key_length: u32,
    /// Elements of a value, per head.
    pub value_length: u32,
    /// Tokens that a sliding layer sees; 0 where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window: u32,
    /// Elements of a recurrent layer's state, of one slot; 0 where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub state: u32,
    /// Runs of layers that are alike, from the first to the last.
    pub layers: Vec<LayerGroup>,
    /// There were too many runs: the layers are grouped by kind instead, and their order is lost.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unordered: bool,
    /// Where the cache is compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<LatentAttention>,
}

const MAX_LAYERS: u64 = 4_096;
pub(super) const MAX_LENGTH: u64 = 1 << 24;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

pub(super) fn narrow(what: &'static str, value: u64) -> Result<u32, GgufError> {
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
        let width = need("embedding_length")?;
        let heads = largest(header, "attention.head_count");
        let per_head = width.checked_div(heads).unwrap_or(0);
        let length = |key| header.arch_int(key).unwrap_or(per_head);
        let key_length = length("attention.key_length");
        let latent = latent(header)?;
        let state = state(header, width);
        let window = header.arch_int("attention.sliding_window").unwrap_or(0);
        let (layers, unordered) = layers::runs(header, blocks, heads, window, state > 0)?;
        let latent_length = latent.map(|latent| u64::from(latent.length));
        let activation = activation(header, width, heads, key_length, latent_length);
        let places = header.places();
        Ok(Self {
            weight_bytes: header.tensor_bytes,
            embedding_bytes: places.embedding,
            tied: !places.own_output,
            context_length: narrow(
                "the context length",
                header.arch_int("context_length").unwrap_or(0),
            )?,
            vocabulary: narrow("the vocabulary", header.vocabulary().unwrap_or(0))?,
            width: narrow("the width", width)?,
            activation: narrow("the elements of a layer", activation)?,
            key_length: narrow("the length of a key", key_length)?,
            value_length: narrow("the length of a value", length("attention.value_length"))?,
            window: narrow("the sliding window", window)?,
            state: narrow("the state of a layer", state)?,
            layers,
            unordered,
            latent,
        })
    }

    /// How many layers there are.
    #[must_use]
    pub fn layer_count(&self) -> u32 {
        self.layers
            .iter()
            .fold(0, |sum, run| sum.saturating_add(run.count))
    }
}

/// A number that is one for all layers or one for each: the largest.
fn largest(header: &Header, key: &str) -> u64 {
    header
        .arch_int(key)
        .or_else(|| header.arch_ints(key)?.iter().copied().max())
        .unwrap_or(0)
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

/// Elements of a recurrent layer's state: RWKV's, a short convolution's, or Mamba's and its kin's.
fn state(header: &Header, width: u64) -> u64 {
    let get = |key| header.arch_int(key).unwrap_or(0);
    let head = get("wkv.head_size");
    if head > 0 {
        let shifts = header.arch_int("token_shift_count").unwrap_or(2);
        return width.saturating_mul(shifts.saturating_add(head));
    }
    let cached = get("shortconv.l_cache");
    if cached > 0 {
        return width.saturating_mul(cached - 1);
    }
    let (inner, size) = (get("ssm.inner_size"), get("ssm.state_size"));
    let mixed = get("ssm.group_count")
        .saturating_mul(size)
        .saturating_mul(2);
    let kept = get("ssm.conv_kernel").saturating_sub(1);
    kept.saturating_mul(inner.saturating_add(mixed))
        .saturating_add(size.saturating_mul(inner))
}

/// Elements of a token in the widest layer: what llama.cpp's allocator has at once, measured with its own tool on
/// each of these kinds of layer. The residual and its copies are five widths.
fn activation(
    header: &Header,
    width: u64,
    heads: u64,
    key_length: u64,
    latent: Option<u64>,
) -> u64 {
    let get = |key| header.arch_int(key).unwrap_or(0);
    let times = |a: u64, b: u64| a.saturating_mul(b);
    let dense = times(3, largest(header, "feed_forward_length"));
    let experts = {
        let length = get("expert_feed_forward_length");
        let each = times(2, width).max(times(3, length));
        times(get("expert_used_count"), each)
    };
    let recurrent = times(5, get("ssm.inner_size"));
    let copies = times(5, width);
    // Keys are decompressed for every head, and queries compressed.
    let attention = match latent {
        Some(length) => {
            let real = get("attention.key_length_mla");
            let each = times(2, length.saturating_add(real));
            times(heads, each).saturating_add(width)
        }
        None => times(3, times(heads, key_length)).saturating_add(copies),
    };
    dense
        .max(experts)
        .max(recurrent)
        .saturating_add(copies)
        .max(attention)
        .min(MAX_LENGTH)
}
