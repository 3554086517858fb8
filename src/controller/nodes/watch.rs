//! The nodes, cut down to what decides where a pod fits. Kubelets write them every few minutes with nothing new in
//! it: those writes wake nobody.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus};
use kube::api::ObjectMeta;
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinSet;

use super::{allocatable, is_device};
use crate::controller::trigger::Wakes;

/// Starts the watch. When a node comes, goes or changes in what decides, every ModelDeployment is looked at.
pub fn start(client: &Client, wakes: Wakes, tasks: &mut JoinSet<()>) -> Store<Node> {
    let (reader, writer) = store();
    let stream = watcher(Api::<Node>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .modify(prune)
        .reflect(writer);
    tasks.spawn(async move {
        let mut stream = std::pin::pin!(stream);
        let mut seen = Seen::default();
        while let Some(event) = stream.next().await {
            let changed = match &event {
                Ok(event) => seen.changed(event),
                Err(error) => {
                    tracing::warn!(kind = "Node", %error, "a watch failed, it is started again");
                    false
                }
            };
            if changed {
                wakes.send(wakes.deployments()).await;
            }
        }
        tracing::error!(kind = "Node", "a watch ended");
    });
    reader
}

/// What decided when each node was last seen.
#[derive(Default)]
struct Seen {
    nodes: HashMap<String, u64>,
    /// What a list that is on its way has.
    listed: HashMap<String, u64>,
}

impl Seen {
    /// Whether the event changes where pods fit.
    fn changed(&mut self, event: &Event<Node>) -> bool {
        match event {
            Event::Apply(node) => {
                let facts = facts(node);
                self.nodes.insert(node.name_any(), facts) != Some(facts)
            }
            Event::Delete(node) => self.nodes.remove(&node.name_any()).is_some(),
            Event::Init => {
                self.listed.clear();
                false
            }
            Event::InitApply(node) => {
                self.listed.insert(node.name_any(), facts(node));
                false
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let changed = listed != self.nodes;
                self.nodes = listed;
                changed
            }
        }
    }
}

fn facts(node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    allocatable(node).hash(&mut hasher);
    let offered = node
        .status
        .iter()
        .flat_map(|status| status.allocatable.iter().flatten());
    for (name, number) in offered.filter(|(name, _)| is_device(name)) {
        (name, &number.0).hash(&mut hasher);
    }
    node.labels().hash(&mut hasher);
    for taint in node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten())
    {
        (&taint.key, &taint.value, &taint.effect).hash(&mut hasher);
    }
    hasher.finish()
}

/// A node has kilobytes of images and conditions that nobody here reads.
fn prune(node: &mut Node) {
    let meta = std::mem::take(&mut node.metadata);
    node.metadata = ObjectMeta {
        name: meta.name,
        uid: meta.uid,
        resource_version: meta.resource_version,
        labels: meta.labels,
        ..ObjectMeta::default()
    };
    node.spec = node.spec.take().map(|spec| NodeSpec {
        taints: spec.taints,
        ..NodeSpec::default()
    });
    node.status = node.status.take().map(|status| NodeStatus {
        allocatable: status.allocatable,
        ..NodeStatus::default()
    });
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    use super::super::tests::node;
    use super::*;

    fn beat(memory: &str) -> Node {
        let mut node = node("a", memory);
        node.metadata.resource_version = Some("another".to_owned());
        node
    }

    #[test]
    fn heartbeats_change_nothing() {
        let mut seen = Seen::default();
        for event in [Event::Init, Event::InitApply(node("a", "8Gi"))] {
            assert!(!seen.changed(&event));
        }
        assert!(seen.changed(&Event::InitDone));
        assert!(!seen.changed(&Event::Apply(beat("8Gi"))));
        assert!(seen.changed(&Event::Apply(beat("4Gi"))));
        assert!(!seen.changed(&Event::Apply(beat("4Gi"))));
        let mut plugged = beat("4Gi");
        let status = plugged.status.as_mut().unwrap();
        let gpu = ("nvidia.com/gpu".to_owned(), Quantity("1".to_owned()));
        status.allocatable.as_mut().unwrap().extend([gpu]);
        assert!(seen.changed(&Event::Apply(plugged.clone())));
        assert!(!seen.changed(&Event::Apply(plugged)));
        assert!(seen.changed(&Event::Apply(beat("4Gi"))));
        assert!(seen.changed(&Event::Apply(node("b", "4Gi"))));
        assert!(seen.changed(&Event::Delete(node("b", "4Gi"))));
    }

    /// What went or came while the watch was down has no event of its own.
    #[test]
    fn a_list_after_a_gap_tells_what_differs() {
        let mut seen = Seen::default();
        let mut list = |nodes: &[Node]| {
            assert!(!seen.changed(&Event::Init));
            for node in nodes {
                assert!(!seen.changed(&Event::InitApply(node.clone())));
            }
            seen.changed(&Event::InitDone)
        };
        assert!(list(&[node("a", "8Gi"), node("b", "8Gi")]));
        assert!(!list(&[node("b", "8Gi"), beat("8Gi")]));
        assert!(list(&[node("a", "8Gi")]));
    }

    #[test]
    fn pruning_keeps_what_decides() {
        let mut pruned = node("a", "8Gi");
        pruned.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
        prune(&mut pruned);
        assert_eq!(facts(&pruned), facts(&node("a", "8Gi")));
        assert_eq!(pruned.metadata.annotations, None);
    }
}
