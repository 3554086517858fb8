//! Which layers an accelerator holds (`-ngl`): the last ones, and the output as one more.

use super::Geometry;
use super::memory::scale;

/// What lies where.
pub(super) struct Share {
    /// Layers of each run that the accelerator has, and how many the run has.
    parts: Vec<(u64, u64)>,
    /// The output is there: the first layer that goes.
    pub(super) output: bool,
    /// All layers are there.
    pub(super) everything: bool,
    /// Bytes of weights in the accelerator.
    pub(super) device_bytes: u64,
    /// Bytes of weights in the host's memory.
    pub(super) host_bytes: u64,
}

impl Share {
    pub(super) fn of(geometry: &Geometry, gpu_layers: u32) -> Self {
        let count = u64::from(geometry.layer_count());
        let output = gpu_layers > 0;
        let there = u64::from(gpu_layers.saturating_sub(1)).min(count);
        let parts = parts(geometry, there, count);
        let sum = |of: &dyn Fn(u64, u64, u64) -> u64| {
            let runs = geometry.layers.iter().zip(&parts);
            runs.fold(0_u64, |sum, (run, (part, all))| {
                sum.saturating_add(of(run.bytes, *part, *all))
            })
        };
        let all = geometry
            .weight_bytes
            .saturating_sub(geometry.embedding_bytes);
        let repeated = sum(&|bytes, _, _| bytes).min(all);
        let (moved, own) = if repeated == 0 {
            // The status is of a version that did not know the layers' weights.
            (scale(all, there, count), 0)
        } else {
            let moved = sum(&|bytes, part, all| scale(bytes, part, all)).min(repeated);
            (moved, if output { all - repeated } else { 0 })
        };
        // An output that is the embedding's table is there a second time.
        let second = if output && geometry.tied {
            geometry.embedding_bytes
        } else {
            0
        };
        Self {
            parts,
            output,
            everything: output && there == count,
            device_bytes: moved.saturating_add(own).saturating_add(second),
            host_bytes: geometry
                .weight_bytes
                .saturating_sub(moved)
                .saturating_sub(own),
        }
    }

    /// How many of so many layers of the run are there.
    pub(super) fn part(&self, run: usize) -> (u64, u64) {
        self.parts.get(run).copied().unwrap_or((0, 1))
    }
}

fn parts(geometry: &Geometry, there: u64, count: u64) -> Vec<(u64, u64)> {
    if geometry.unordered {
        // The kinds alternate, else there would be fewer runs.
        return vec![(there, count); geometry.layers.len()];
    }
    let mut left = there;
    let mut parts: Vec<(u64, u64)> = geometry
        .layers
        .iter()
        .rev()
        .map(|run| {
            let of = u64::from(run.count);
            let part = left.min(of);
            left -= part;
            (part, of)
        })
        .collect();
    parts.reverse();
    parts
}
