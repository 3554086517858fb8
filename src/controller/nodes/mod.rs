//! Whether any node has the memory that a pod asks for: told before the pod hangs in Pending; pure but for the watch.

pub mod placement;
pub mod watch;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Node, PodSpec};
use kube::ResourceExt;

use self::placement::may_run;
use super::difference::quantity;

/// No node that may run a pod has the memory that it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pod asks for {} MiB of memory, and of {candidates} {nodes} that may run it the largest, {largest}, has {} MiB",
    asked.div_ceil(1 << 20), most >> 20, nodes = if *candidates == 1 { "node" } else { "nodes" }
)]
pub struct TooLittle {
    /// Bytes that a pod asks for.
    pub asked: u64,
    /// The largest node.
    pub largest: String,
    /// Bytes that it has for pods.
    pub most: u64,
    /// How many nodes may run the pod.
    pub candidates: usize,
}

/// Whether one of the nodes that may run the pod has the memory for it, if it runs nothing else.
///
/// Nodes that are cordoned, not ready or under pressure count: that passes. Where no node may run the pod, or none
/// says what it has, nothing is known, and nothing is refused.
///
/// # Errors
/// [`TooLittle`] says how much is missing.
pub fn fits(nodes: &[Arc<Node>], pod: &PodSpec) -> Result<(), TooLittle> {
    let asked = request(pod);
    let candidates: Vec<(u64, String)> = nodes
        .iter()
        .filter(|node| may_run(node, pod))
        .filter_map(|node| Some((allocatable(node)?, node.name_any())))
        .collect();
    let Some((most, largest)) = candidates.iter().max().cloned() else {
        return Ok(());
    };
    if asked <= most {
        return Ok(());
    }
    Err(TooLittle {
        asked,
        largest,
        most,
        candidates: candidates.len(),
    })
}

/// Bytes of memory that a node has for pods.
#[must_use]
pub fn allocatable(node: &Node) -> Option<u64> {
    let allocatable = node.status.as_ref()?.allocatable.as_ref()?;
    bytes(&allocatable.get("memory")?.0)
}

/// Bytes that the scheduler reserves for the pod: containers and sidecars run together, other init containers before
/// them one by one (KEP-753).
#[must_use]
pub fn request(pod: &PodSpec) -> u64 {
    let of = |container: &Container| {
        let resources = container.resources.as_ref();
        let maps = resources.map(|r| [r.requests.as_ref(), r.limits.as_ref()]);
        let mut maps = maps.into_iter().flatten().flatten();
        maps.find_map(|map| bytes(&map.get("memory")?.0))
            .unwrap_or(0)
    };
    let (mut sidecars, mut largest) = (0_u64, 0_u64);
    for container in pod.init_containers.iter().flatten() {
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = sidecars.saturating_add(of(container));
        } else {
            largest = largest.max(sidecars.saturating_add(of(container)));
        }
    }
    let running = pod.containers.iter().map(of);
    running.fold(sidecars, u64::saturating_add).max(largest)
}

fn bytes(text: &str) -> Option<u64> {
    u64::try_from(quantity(text)? / 1_000).ok()
}

#[cfg(test)]
#[path = "tests.rs"]
pub(in crate::controller) mod tests;
