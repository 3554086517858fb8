//! How an object's engine is to serve: its settings, and what its resources say; pure.

use super::accelerator::{self, Wrong};
use crate::api::model_deployment::{ModelDeploymentSpec, Resources};
use crate::controller::difference::quantity;
use crate::engine::Tuning;

/// Threads where neither settings nor resources say.
const THREADS: u32 = 2;

/// Puts both together.
///
/// # Errors
/// The accelerators that are asked for contradict themselves.
pub fn of(spec: &ModelDeploymentSpec) -> Result<Tuning, Wrong> {
    let mut tuning = spec.runtime.tuning(threads(&spec.resources));
    let member = spec.runtime.engine.member();
    let parallel = tuning.parallel.saturating_mul(tuning.loaded());
    tuning.requests = spec.limits.concurrent(parallel);
    tuning.gpu_layers = accelerator::layers(member, tuning.gpu_layers, &spec.resources)?;
    Ok(tuning)
}

/// As many threads as the container has CPUs.
fn threads(resources: &Resources) -> u32 {
    let cpu = resources
        .limits
        .get("cpu")
        .or_else(|| resources.requests.get("cpu"));
    cpu.and_then(|cpu| quantity(&cpu.0))
        .and_then(|thousandths| u32::try_from(thousandths).ok())
        .map_or(THREADS, |thousandths| {
            thousandths.div_ceil(1_000).clamp(1, 512)
        })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    use super::*;

    #[rstest::rstest]
    #[case::default(&[], &[], 2)]
    #[case::limit(&[("cpu", "1")], &[("cpu", "3500m")], 4)]
    #[case::request(&[("cpu", "250m")], &[], 1)]
    fn threads_follow_the_cpu(
        #[case] requests: &[(&str, &str)],
        #[case] limits: &[(&str, &str)],
        #[case] expected: u32,
    ) {
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| ((*key).to_owned(), Quantity((*value).to_owned())))
                .collect()
        };
        let resources = Resources {
            requests: map(requests),
            limits: map(limits),
        };
        assert_eq!(threads(&resources), expected);
    }
}
