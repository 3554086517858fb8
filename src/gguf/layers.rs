//! Layers that are alike, as far as memory goes.

use serde::{Deserialize, Serialize};

use super::geometry::{is_false, is_zero, narrow};
use super::{GgufError, Header};

/// Layers that are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayerGroup {
    /// How many layers.
    pub count: u32,
    /// Heads of keys and values of each.
    pub kv_heads: u32,
    /// Whether they see a sliding window only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sliding: bool,
    /// Whether they keep a state of fixed size.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recurrent: bool,
    /// Bytes of their weights together.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
}

/// Runs that a status has room for. Alternating layers of large models have more.
const MAX_RUNS: usize = 32;

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

/// The runs, and whether there were so many that they were grouped by kind.
pub(super) fn runs(
    header: &Header,
    blocks: u64,
    heads: u64,
    window: u64,
    has_state: bool,
) -> Result<(Vec<LayerGroup>, bool), GgufError> {
    let layers = layers(header, blocks, heads, window, has_state)?;
    let mut runs = Vec::<LayerGroup>::new();
    for layer in &layers {
        match runs.last_mut().filter(|run| alike(run, layer)) {
            Some(run) => join(run, layer),
            None => runs.push(*layer),
        }
    }
    if runs.len() <= MAX_RUNS {
        return Ok((runs, false));
    }
    let mut groups = grouped(&runs, alike);
    if groups.len() > MAX_RUNS {
        groups = grouped(&runs, same_cache);
    }
    if groups.len() > MAX_RUNS {
        return Err(GgufError::Limit {
            what: "the kinds of layers",
            limit: MAX_RUNS as u64,
        });
    }
    Ok((groups, true))
}

fn grouped(runs: &[LayerGroup], same: fn(&LayerGroup, &LayerGroup) -> bool) -> Vec<LayerGroup> {
    let mut groups = Vec::<LayerGroup>::new();
    for run in runs {
        match groups.iter_mut().find(|group| same(group, run)) {
            Some(group) => join(group, run),
            None => groups.push(*run),
        }
    }
    groups
}

fn same_cache(a: &LayerGroup, b: &LayerGroup) -> bool {
    (a.kv_heads, a.sliding, a.recurrent) == (b.kv_heads, b.sliding, b.recurrent)
}

/// The same cache, and weights within a third: quantisations give single layers a few more bits, while a layer of
/// experts is a multiple of a dense one.
fn alike(a: &LayerGroup, b: &LayerGroup) -> bool {
    let mean = |run: &LayerGroup| run.bytes / u64::from(run.count.max(1));
    let (a_mean, b_mean) = (mean(a), mean(b));
    same_cache(a, b) && a_mean.abs_diff(b_mean) <= a_mean.max(b_mean) / 3
}

fn join(run: &mut LayerGroup, more: &LayerGroup) {
    run.count = run.count.saturating_add(more.count);
    run.bytes = run.bytes.saturating_add(more.bytes);
}

fn layers(
    header: &Header,
    blocks: u64,
    heads: u64,
    window: u64,
    has_state: bool,
) -> Result<Vec<LayerGroup>, GgufError> {
    let key = "attention.head_count_kv";
    let per_layer = header.arch_ints(key);
    let same = header.arch_int(key).unwrap_or(heads);
    let listed = header.arch_ints("attention.sliding_window_pattern");
    let every = header
        .arch_int("attention.sliding_window_pattern")
        .or_else(|| default_pattern(&header.architecture));
    let recurrence = Recurrence::of(header, has_state);
    let mut layers = Vec::new();
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
        let recurrent = recurrence.at(layer, kv_heads);
        let kv_heads = if recurrent && !recurrence.beside() {
            0
        } else {
            kv_heads
        };
        let bytes = u32::try_from(layer)
            .ok()
            .and_then(|layer| header.places().layers.get(&layer));
        layers.push(LayerGroup {
            count: 1,
            kv_heads: narrow("the heads of a layer", kv_heads)?,
            sliding,
            recurrent,
            bytes: bytes.copied().unwrap_or(0),
        });
    }
    Ok(layers)
}

/// Which layers keep a state.
enum Recurrence {
    /// None.
    No,
    /// All, and attention beside it.
    Beside,
    /// All but every n-th.
    AllBut(u64),
    /// Those without heads of keys and values.
    Headless,
}

impl Recurrence {
    fn of(header: &Header, has_state: bool) -> Self {
        match header.architecture.as_str() {
            _ if !has_state => Self::No,
            "falcon-h1" => Self::Beside,
            "qwen3next" | "qwen35" | "qwen35moe" => {
                let every = header.arch_int("full_attention_interval");
                Self::AllBut(every.filter(|n| *n > 0).unwrap_or(4))
            }
            _ => Self::Headless,
        }
    }

    fn at(&self, layer: u64, kv_heads: u64) -> bool {
        match self {
            Self::No => false,
            Self::Beside => true,
            Self::AllBut(n) => !(layer + 1).is_multiple_of(*n),
            Self::Headless => kv_heads == 0,
        }
    }

    fn beside(&self) -> bool {
        matches!(self, Self::Beside)
    }
}
