//! Secrets and ConfigMaps without which the kubelet does not start the pods of a server; pure.
//!
//! The operator reads neither, so it asks the pods. Of what `env` takes the kubelet says in the pod's status which it does
//! not find. Of what `files` mounts it speaks in Events alone: a pod that has a node and does not begin for [`PATIENCE`] is
//! taken for one that waits for them.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::build::server::CONTAINER;
use crate::api::mcp_server::{EnvVar, KeyRef};
use crate::api::{McpServer, Reason};
use crate::controller::serving::summary::{Summary, held, working};
use crate::mcp::pin::printable;

/// From a pod's node to its first container, before it is said to wait for what it mounts. One or two seconds are usual.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most characters of the kubelet's own words.
const LONGEST: usize = 256;

/// What the pods of a server wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Awaited {
    /// Ready, Reconciling and Stalled, where somebody has to make something.
    pub told: Option<Summary>,
    /// When to look again although nothing changes.
    pub again: Option<Duration>,
}

/// Looks at the pods of a server; of several that wait the first by name speaks. `now` is the wall's clock.
#[must_use]
pub fn awaited(this: &McpServer, pods: &[Arc<Pod>], now: Timestamp) -> Awaited {
    let coming = |pod: &&Arc<Pod>| pod.metadata.deletion_timestamp.is_none();
    let mut pods: Vec<&Arc<Pod>> = pods.iter().filter(coming).collect();
    pods.sort_by_key(|pod| pod.name_any());
    if let Some(told) = pods.iter().find_map(|pod| not_made(this, pod)) {
        return Awaited {
            told: Some(told),
            again: None,
        };
    }
    let Some((reason, mounted)) = mounted(this) else {
        return Awaited::default();
    };
    let waiting = pods.iter().filter_map(|pod| Some((pod, since(pod, now)?)));
    let Some((pod, waits)) = waiting.max_by_key(|(_, waits)| *waits) else {
        return Awaited::default();
    };
    let left = PATIENCE.saturating_sub(waits);
    if !left.is_zero() {
        return Awaited {
            told: None,
            again: Some(left),
        };
    }
    let text = format!(
        "pod {} has a node and has not begun for {} seconds, as it is when something is missing that files mounts: make in this namespace what is not there of {mounted}; the kubelet looks again by itself. If all are there, the pod's events say what it waits for",
        pod.name_any(),
        PATIENCE.as_secs()
    );
    Awaited {
        told: Some(held(reason, &text)),
        again: None,
    }
}

/// What the kubelet says where it cannot make the server's container.
fn not_made(this: &McpServer, pod: &Pod) -> Option<Summary> {
    let mut containers = pod.status.as_ref()?.container_statuses.iter().flatten();
    let server = containers.find(|one| one.name == CONTAINER)?;
    let waiting = server.state.as_ref()?.waiting.as_ref()?;
    if waiting.reason.as_deref() != Some("CreateContainerConfigError") {
        return None;
    }
    let said = waiting.message.as_deref().unwrap_or_default();
    let pod = pod.name_any();
    let namespace = this.namespace().unwrap_or_default();
    let mut entries = this.spec.env.iter().filter_map(Entry::of);
    let missed = entries.find(|entry| entry.is_missed(said, &namespace));
    let Some(Entry { variable, kind, at }) = missed else {
        let said = printable(said, LONGEST);
        let text = format!("pod {pod} does not start; the kubelet says: {said}");
        return Some(working(Reason::RollingOut, &text));
    };
    let text = format!(
        "pod {pod} does not start, because the variable {variable} takes entry {} of {} {}, which is not there: make it in this namespace; the kubelet looks again by itself",
        at.key,
        kind.as_str(),
        at.name
    );
    Some(held(kind.reason(), &text))
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Secret,
    ConfigMap,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }

    fn reason(self) -> Reason {
        match self {
            Self::Secret => Reason::SecretMissing,
            Self::ConfigMap => Reason::ConfigMapMissing,
        }
    }
}

/// An entry that a variable takes.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    variable: &'a str,
    kind: Kind,
    at: &'a KeyRef,
}

impl<'a> Entry<'a> {
    fn of(written: &'a EnvVar) -> Option<Self> {
        let secret = written.secret_key_ref.as_ref();
        let secret = secret.map(|at| (Kind::Secret, at));
        let config_map = written.config_map_key_ref.as_ref();
        let (kind, at) = secret.or_else(|| config_map.map(|at| (Kind::ConfigMap, at)))?;
        let variable = written.name.as_str();
        Some(Self { variable, kind, at })
    }

    /// Whether the kubelet misses it: the whole Secret or ConfigMap, or the entry in it (Kubernetes,
    /// `pkg/kubelet/kubelet_pods.go` and `pkg/kubelet/util/manager`).
    fn is_missed(&self, said: &str, namespace: &str) -> bool {
        let (kind, KeyRef { name, key }) = (self.kind.as_str(), self.at);
        let one = kind.to_ascii_lowercase();
        said.contains(&format!("{one} \"{name}\" not found"))
            || said.contains(&format!("{one}s \"{name}\" not found"))
            || said.ends_with(&format!(
                "couldn't find key {key} in {kind} {namespace}/{name}"
            ))
    }
}

/// What `files` mounts, by name, and the reason of the first.
fn mounted(this: &McpServer) -> Option<(Reason, String)> {
    let mut all: Vec<(Kind, &str)> = Vec::new();
    for files in &this.spec.files {
        let secret = files.secret_ref.as_ref();
        let secret = secret.map(|of| (Kind::Secret, of.name.as_str()));
        let config_map = files.config_map_ref.as_ref();
        let config_map = config_map.map(|of| (Kind::ConfigMap, of.name.as_str()));
        all.extend(secret.or(config_map).filter(|one| !all.contains(one)));
    }
    let (first, _) = all.first()?;
    let names: Vec<String> = all
        .iter()
        .map(|(kind, name)| format!("{} {name}", kind.as_str()))
        .collect();
    Some((first.reason(), names.join(", ")))
}

/// How long a pod has had its node, where nothing of it has begun. Its own network comes after all that it mounts, and
/// images are pulled after that.
fn since(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let status = pod.status.as_ref()?;
    let holds = |kind: &str| -> Option<&PodCondition> {
        let mut all = status.conditions.iter().flatten();
        all.find(|one| one.type_ == kind && one.status == "True")
    };
    let over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if over || status.pod_ip.is_some() || holds("PodReadyToStartContainers").is_some() {
        return None;
    }
    let placed = holds("PodScheduled")?.last_transition_time.as_ref()?.0;
    // Clocks differ: a node that is given in the future is given now.
    Some(Duration::try_from(now.duration_since(placed)).unwrap_or_default())
}

#[cfg(test)]
#[path = "awaited_tests.rs"]
mod tests;
