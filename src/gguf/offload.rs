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
        let repeated = geometry
            .layers
            .iter()
            .fold(0_u64, |sum, run| sum.saturating_add(run.bytes));
        let moved = if repeated == 0 {
            // The status is of a version that did not know the layers' weights.
            let all = geometry
                .weight_bytes
                .saturating_sub(geometry.embedding_bytes);
            scale(all, there, count)
        } else {
            let runs = geometry.layers.iter().zip(&parts);
            runs.fold(0_u64, |sum, (run, (part, of))| {
                sum.saturating_add(scale(run.bytes, *part, *of))
            })
        };
        let own = geometry
            .weight_bytes
            .saturating_sub(repeated)
            .saturating_sub(geometry.embedding_bytes);
        // An output that is the embedding's table is there a second time.
        let last = match (output, geometry.tied) {
            (false, _) => 0,
            (true, true) => own.saturating_add(geometry.embedding_bytes),
            (true, false) => own,
        };
        let leaves = if geometry.tied { 0 } else { last };
        Self {
            parts,
            output,
            everything: output && there == count,
            device_bytes: moved.saturating_add(last).min(geometry.weight_bytes),
            host_bytes: geometry
                .weight_bytes
                .saturating_sub(moved)
                .saturating_sub(leaves),
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
