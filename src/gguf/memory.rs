//! How much memory llama.cpp needs to serve a model, before it runs.
//!
//! The sizes are those of llama.cpp's own allocation; `llama-fit-params` is the oracle of the tests, and
//! `docs/memory.md` has the comparison.

use serde::{Deserialize, Serialize};

use super::offload::Share;
use super::{Geometry, KvType, LayerGroup};

/// How the engine is going to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Tokens of all slots together: `-c`.
    pub context: u32,
    /// Slots: `-np`.
    pub parallel: u32,
    /// `--cache-type-k`.
    pub kv_k: KvType,
    /// `--cache-type-v`.
    pub kv_v: KvType,
    /// Tokens computed at once: `-ub`, 512 by default.
    pub batch: u32,
    /// Whether every token of a batch may get a number for each word of the vocabulary; not where vectors are made.
    pub logits: bool,
    /// One cache for all slots (`--kv-unified`), and not one for each.
    pub unified: bool,
    /// `-ngl`: how many layers an accelerator holds, from the last one; the output counts as one.
    pub gpu_layers: u32,
    /// Bytes of further weights: adapters, a projector.
    pub further_weights: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            context: 4_096,
            parallel: 1,
            kv_k: KvType::default(),
            kv_v: KvType::default(),
            batch: 512,
            logits: true,
            unified: false,
            gpu_layers: 0,
            further_weights: 0,
        }
    }
}

/// An estimate, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// The tensors.
    pub weights: u64,
    /// Keys and values of the whole context, and the states of recurrent layers.
    pub kv_cache: u64,
    /// Buffers of one batch.
    pub compute: u64,
    /// What a pod should be given: the sum, the process itself and a reserve.
    pub total: u64,
}

/// Where it is needed, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// In the host's memory.
    pub ram: Memory,
    /// In the accelerators', where layers are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram: Option<Memory>,
}

/// Snapshots of a slot's windows and states that llama-server may keep in the host's memory, so that a request that
/// begins like the last one is not computed anew: `--ctx-checkpoints`, by default 32.
pub const CHECKPOINTS: u32 = 1;

/// Code, vocabulary, HTTP and threads of the server.
const PROCESS: u64 = 128 << 20;
/// What an accelerator's driver takes for itself, in the accelerator's memory and again in the host's; no header says how
/// much.
const DRIVER: u64 = 512 << 20;

/// What a layer may take whose widths are not known.
const UNKNOWN_LAYER: u64 = 128 << 20;

fn pad256(cells: u64) -> u64 {
    cells.checked_next_multiple_of(256).unwrap_or(u64::MAX)
}

/// The settings as cells.
struct Cells {
    streams: u64,
    /// Cells of a stream in a layer that sees everything.
    full: u64,
    /// Cells of a stream in a layer that sees a window.
    windowed: u64,
    slots: u64,
    batch: u64,
}

impl Cells {
    fn of(geometry: &Geometry, settings: &Settings) -> Self {
        let slots = u64::from(settings.parallel.max(1));
        let context = u64::from(settings.context);
        let streams = if settings.unified { 1 } else { slots };
        let full = pad256(context.div_ceil(streams)).max(256);
        let batch = u64::from(settings.batch).min(context.max(1));
        // A shared cache has room for the windows of all.
        let windows = u64::from(geometry.window) * (slots / streams);
        Self {
            streams,
            full,
            windowed: pad256(full.min(windows.saturating_add(batch))),
            slots,
            batch,
        }
    }
}

/// Bytes of the cache of one layer.
fn cache(geometry: &Geometry, settings: &Settings, cells: &Cells, layer: &LayerGroup) -> u64 {
    let heads = u64::from(layer.kv_heads);
    let row = match geometry.latent {
        Some(latent) if heads > 0 => u64::from(latent.length) * settings.kv_k.bytes_per_32(),
        _ => heads.saturating_mul(
            u64::from(geometry.key_length) * settings.kv_k.bytes_per_32()
                + u64::from(geometry.value_length) * settings.kv_v.bytes_per_32(),
        ),
    };
    let length = if layer.sliding {
        cells.windowed
    } else {
        cells.full
    };
    let attention = cells.streams.saturating_mul(length).saturating_mul(row) / 32;
    attention.saturating_add(state(geometry, cells, layer))
}

/// Bytes of a recurrent layer's states, in f32.
fn state(geometry: &Geometry, cells: &Cells, layer: &LayerGroup) -> u64 {
    let elements = if layer.recurrent { geometry.state } else { 0 };
    (u64::from(elements) * 4).saturating_mul(cells.slots)
}

/// Bytes of one snapshot of every slot: what cannot be cut back to an earlier token.
fn snapshot(geometry: &Geometry, settings: &Settings, cells: &Cells) -> u64 {
    geometry.layers.iter().fold(0, |sum, layer| {
        let one = if layer.sliding {
            cache(geometry, settings, cells, layer)
        } else {
            state(geometry, cells, layer)
        };
        sum.saturating_add(one.saturating_mul(u64::from(layer.count)))
    })
}

/// Bytes of the buffers of one batch.
struct Buffers {
    /// The residual.
    width: u64,
    /// The largest layer.
    layer: u64,
    /// The masks of the caches, f16.
    mask: u64,
    logits: u64,
    /// What the last layer leaves in the logits' way.
    beside: u64,
}

impl Buffers {
    fn of(geometry: &Geometry, cells: &Cells, logits: bool) -> Self {
        let floats = |n: u32| (u64::from(n) * 4).saturating_mul(cells.batch);
        let attends = |sliding: bool| {
            let mut layers = geometry.layers.iter();
            layers.any(|layer| layer.sliding == sliding && layer.kv_heads > 0)
        };
        let mask = |wanted: bool, length: u64| if wanted { length } else { 0 };
        let columns =
            mask(attends(false), cells.full).saturating_add(mask(attends(true), cells.windowed));
        // A status of a version that did not know the widths.
        let unknown = if geometry.width == 0 {
            UNKNOWN_LAYER
        } else {
            0
        };
        let layer = floats(geometry.activation).saturating_add(unknown);
        let mask = columns.saturating_mul(cells.batch).saturating_mul(2);
        // Measured: a last layer that attends frees the mask before the logits come.
        let beside = match geometry.layers.last() {
            Some(last) if last.kv_heads > 0 || mask == 0 => 0,
            Some(last) if last.recurrent => layer.max(mask),
            _ => mask,
        };
        Self {
            width: floats(geometry.width),
            layer,
            mask,
            logits: if logits {
                floats(geometry.vocabulary)
            } else {
                0
            },
            beside,
        }
    }

    /// All of it in one place. The logits come when the layers are done, and use the mask's place if they fit.
    fn whole(&self) -> u64 {
        let end = if self.mask >= self.logits {
            0
        } else {
            self.logits.saturating_add(self.width.saturating_mul(5))
        };
        self.mask.saturating_add(self.layer.max(end))
    }

    /// The layers alone.
    fn layers(&self) -> u64 {
        self.mask.saturating_add(self.layer)
    }

    /// The inputs alone.
    fn inputs(&self) -> u64 {
        self.mask.saturating_add(self.width.saturating_mul(4))
    }

    /// Some layers and the output.
    fn last(&self) -> u64 {
        let end = self.logits.saturating_add(self.width.saturating_mul(2));
        self.layers().max(end.saturating_add(self.beside))
    }
}

/// The memory of a model under these settings. Saturates instead of overflowing.
#[must_use]
pub fn need(geometry: &Geometry, settings: &Settings) -> Need {
    let cells = Cells::of(geometry, settings);
    let buffers = Buffers::of(geometry, &cells, settings.logits);
    let share = Share::of(geometry, settings.gpu_layers);
    let caches = |part: &dyn Fn(usize) -> (u64, u64)| {
        let layers = geometry.layers.iter().enumerate();
        layers.fold(0_u64, |sum, (index, run)| {
            let (count, of) = part(index);
            let run_bytes =
                cache(geometry, settings, &cells, run).saturating_mul(u64::from(run.count));
            sum.saturating_add(scale(run_bytes, count, of))
        })
    };
    let all = caches(&|_| (1, 1));
    let there = caches(&|index| share.part(index));
    let (host, device) = match share.output {
        false => (buffers.whole(), 0),
        true if share.everything => (buffers.inputs(), buffers.whole()),
        true => (buffers.layers(), buffers.last()),
    };
    let kept = snapshot(geometry, settings, &cells).saturating_mul(u64::from(CHECKPOINTS));
    let ram = Memory {
        weights: share.host_bytes.saturating_add(settings.further_weights),
        kv_cache: all.saturating_sub(there),
        compute: host,
        total: kept
            .saturating_add(PROCESS)
            .saturating_add(if share.output { DRIVER } else { 0 }),
    };
    let vram = share.output.then(|| {
        Memory {
            weights: share.device_bytes.saturating_add(settings.further_weights),
            kv_cache: there,
            compute: device,
            total: DRIVER,
        }
        .summed()
    });
    Need {
        ram: ram.summed(),
        vram,
    }
}

/// The host's part of [`need`].
#[must_use]
pub fn estimate(geometry: &Geometry, settings: &Settings) -> Memory {
    need(geometry, settings).ram
}

impl Memory {
    /// Adds the parts and a reserve of a twentieth to what the total has.
    fn summed(mut self) -> Self {
        let sum = self
            .weights
            .saturating_add(self.kv_cache)
            .saturating_add(self.compute);
        self.total = self.total.saturating_add(sum).saturating_add(sum / 20);
        self
    }
}

/// That part of a number, with no overflow on the way.
pub(super) fn scale(number: u64, count: u64, of: u64) -> u64 {
    let exact = u128::from(number) * u128::from(count) / u128::from(of.max(1));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
