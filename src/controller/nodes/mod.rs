//! Whether any node has the memory and the devices that a pod asks for: told before the pod hangs in Pending; pure but
//! for the watch.

pub mod placement;
pub mod watch;

use std::collections::BTreeMap;
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

/// No node that may run a pod has as many of a device as it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pod asks for {asked} {resource}, and of {candidates} {nodes} that may run it none has more than {most}",
    nodes = if *candidates == 1 { "node" } else { "nodes" }
)]
pub struct TooFew {
    /// The resource of the device plugin.
    pub resource: String,
    /// How many a pod asks for.
    pub asked: u64,
    /// How many the node with the most has.
    pub most: u64,
    /// How many nodes may run the pod.
    pub candidates: usize,
}

/// Why no node has room for a pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// Too little memory.
    #[error(transparent)]
    Memory(#[from] TooLittle),
    /// Too few devices.
    #[error(transparent)]
    Devices(#[from] TooFew),
}

/// Whether one of the nodes that may run the pod has the memory and the devices for it, if it runs nothing else.
///
/// Nodes that are cordoned, not ready or under pressure count: that passes. Where no node may run the pod, or none
/// says what it has, nothing is known, and nothing is refused.
///
/// # Errors
/// [`NoRoom`] says what is missing, and how much.
pub fn fits(nodes: &[Arc<Node>], pod: &PodSpec) -> Result<(), NoRoom> {
    let asked = request(pod);
    let may: Vec<&Arc<Node>> = nodes
        .iter()
        .filter(|node| may_run(node, pod) && allocatable(node).is_some())
        .collect();
    let candidates = may.len();
    let sizes = may
        .iter()
        .filter_map(|node| Some((allocatable(node)?, node.name_any())));
    let Some((most, largest)) = sizes.max() else {
        return Ok(());
    };
    for (resource, asked) in devices(pod) {
        let most = may
            .iter()
            .map(|node| offered(node, &resource))
            .max()
            .unwrap_or(0);
        if asked > most {
            return Err(TooFew {
                resource,
                asked,
                most,
                candidates,
            }
            .into());
        }
    }
    if asked <= most {
        return Ok(());
    }
    Err(TooLittle {
        asked,
        largest,
        most,
        candidates,
    }
    .into())
}

/// Whether a resource is one of a device plugin (Kubernetes, `IsExtendedResourceName`).
#[must_use]
pub fn is_device(resource: &str) -> bool {
    resource.contains('/') && !resource.contains("kubernetes.io/")
}

/// The devices that a pod's containers ask for, which is always in their limits.
fn devices(pod: &PodSpec) -> BTreeMap<String, u64> {
    let mut asked = BTreeMap::new();
    let limits = pod
        .containers
        .iter()
        .filter_map(|container| container.resources.as_ref()?.limits.as_ref());
    for (name, number) in limits.flatten().filter(|(name, _)| is_device(name)) {
        let sum: &mut u64 = asked.entry(name.clone()).or_default();
        *sum = sum.saturating_add(bytes(&number.0).unwrap_or(0));
    }
    asked
}

/// How many of a device a node has for pods.
fn offered(node: &Node, resource: &str) -> u64 {
    let allocatable = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.as_ref());
    let number = allocatable.and_then(|all| bytes(&all.get(resource)?.0));
    number.unwrap_or(0)
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

/// A quantity as a whole number.
fn bytes(text: &str) -> Option<u64> {
    u64::try_from(quantity(text)? / 1_000).ok()
}

#[cfg(test)]
#[path = "tests.rs"]
pub(in crate::controller) mod tests;
