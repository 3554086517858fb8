//! How much memory llama.cpp needs to serve a model, before it runs.
//!
//! The formula is llama.cpp's own allocation (b11434), checked against `llama-fit-params`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Geometry;

/// Element type of the cache, by the names of llama-server's `--cache-type-k` and `-v`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KvType {
    /// 4 bytes an element.
    F32,
    /// 2 bytes an element.
    #[default]
    F16,
    /// 2 bytes an element.
    Bf16,
    /// 1.0625 bytes an element.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// 0.75 bytes an element.
    #[serde(rename = "q5_1")]
    Q5_1,
    /// 0.6875 bytes an element.
    #[serde(rename = "q5_0")]
    Q5_0,
    /// 0.625 bytes an element.
    #[serde(rename = "q4_1")]
    Q4_1,
    /// 0.5625 bytes an element.
    #[serde(rename = "q4_0")]
    Q4_0,
    /// 0.5625 bytes an element.
    #[serde(rename = "iq4_nl")]
    Iq4Nl,
}

/// The text is no [`KvType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to parse cache type: expected f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0 or iq4_nl"
)]
pub struct KvTypeError;

impl KvType {
    const ALL: [(Self, &'static str, u64); 9] = [
        (Self::F32, "f32", 128),
        (Self::F16, "f16", 64),
        (Self::Bf16, "bf16", 64),
        (Self::Q8_0, "q8_0", 34),
        (Self::Q5_1, "q5_1", 24),
        (Self::Q5_0, "q5_0", 22),
        (Self::Q4_1, "q4_1", 20),
        (Self::Q4_0, "q4_0", 18),
        (Self::Iq4Nl, "iq4_nl", 18),
    ];

    /// The name that llama-server takes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or("f16", |(_, name, _)| name)
    }

    /// Bytes of 32 elements.
    fn bytes_per_32(self) -> u64 {
        Self::ALL
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or(128, |(.., bytes)| *bytes)
    }
}

impl FromStr for KvType {
    type Err = KvTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .find(|(_, name, _)| *name == text)
            .map(|(kind, ..)| *kind)
            .ok_or(KvTypeError)
    }
}

/// How the engine is going to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Tokens of all slots together: `-c`.
    pub context: u32,
    /// Slots: `-np`. The context is divided among them.
    pub parallel: u32,
    /// `--cache-type-k`.
    pub kv_k: KvType,
    /// `--cache-type-v`.
    pub kv_v: KvType,
    /// Tokens computed at once: `-ub`, 512 by default.
    pub batch: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            context: 4_096,
            parallel: 1,
            kv_k: KvType::default(),
            kv_v: KvType::default(),
            batch: 512,
        }
    }
}

/// An estimate, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// The tensors.
    pub weights: u64,
    /// Keys and values of the whole context.
    pub kv_cache: u64,
    /// Buffers of one batch.
    pub compute: u64,
    /// What a pod should be given: the sum, the process itself and a reserve.
    pub total: u64,
}

/// Activations and graph, beside the logits and the mask.
const COMPUTE_BASE: u64 = 7 << 20;
/// Code, vocabulary, HTTP and threads of the server.
const PROCESS: u64 = 128 << 20;

fn pad256(cells: u64) -> u64 {
    cells.next_multiple_of(256)
}

/// The memory of a model under these settings. Saturates instead of overflowing.
///
/// The cache is taken as divided among the slots, as llama-server does when it is given `-np`.
#[must_use]
pub fn estimate(geometry: &Geometry, settings: &Settings) -> Memory {
    let slots = u64::from(settings.parallel.max(1));
    let context = u64::from(settings.context);
    let per_slot = pad256(context.div_ceil(slots)).max(256);
    let batch = u64::from(settings.batch).min(context.max(1));
    let windowed = pad256(per_slot.min(u64::from(geometry.window).saturating_add(batch)));
    let row = |kv_heads: u64| match geometry.latent {
        Some(latent) => u64::from(latent.length) * settings.kv_k.bytes_per_32(),
        None => kv_heads.saturating_mul(
            u64::from(geometry.key_length) * settings.kv_k.bytes_per_32()
                + u64::from(geometry.value_length) * settings.kv_v.bytes_per_32(),
        ),
    };
    let kv_cache = geometry.layers.iter().fold(0_u64, |sum, group| {
        let cells = slots.saturating_mul(if group.sliding { windowed } else { per_slot });
        let layer = cells.saturating_mul(row(u64::from(group.kv_heads))) / 32;
        sum.saturating_add(layer.saturating_mul(u64::from(group.count)))
    });
    // Logits in f32; the mask of the cache in f16.
    let logits = batch
        .saturating_mul(u64::from(geometry.vocabulary))
        .saturating_mul(4);
    let mask = batch.saturating_mul(per_slot).saturating_mul(2);
    let compute = logits.saturating_add(mask).saturating_add(COMPUTE_BASE);
    let sum = geometry
        .weight_bytes
        .saturating_add(kv_cache)
        .saturating_add(compute);
    Memory {
        weights: geometry.weight_bytes,
        kv_cache,
        compute,
        total: sum.saturating_add(sum / 20).saturating_add(PROCESS),
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
