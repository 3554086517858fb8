//! Which objects a change concerns.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;

use super::mcp_server::references;
use super::names::{OWNER_UID, SEALED_POLICY, artifacts_of, uid};
use crate::api::{McpServer, ModelArtifact, ModelDeployment};

mod find;

/// An object to look at again.
#[derive(Clone, Debug, PartialEq)]
pub enum Wake {
    /// A ModelDeployment.
    Deployment(ObjectRef<ModelDeployment>),
    /// A ModelArtifact.
    Artifact(ObjectRef<ModelArtifact>),
    /// An McpServer.
    Server(ObjectRef<McpServer>),
}

/// The queues of the controllers. Full queues hold the watches back; nothing is lost.
#[derive(Clone, Debug)]
pub struct Triggers {
    /// ModelDeployments to look at.
    pub deployments: mpsc::Sender<ObjectRef<ModelDeployment>>,
    /// ModelArtifacts to look at.
    pub artifacts: mpsc::Sender<ObjectRef<ModelArtifact>>,
    /// McpServers to look at.
    pub servers: mpsc::Sender<ObjectRef<McpServer>>,
}

/// Finds whom a change concerns.
#[derive(Clone)]
pub struct Wakes {
    /// The queues.
    pub triggers: Triggers,
    /// Owners by UID.
    pub model_deployments: Store<ModelDeployment>,
    /// Owners by UID.
    pub model_artifacts: Store<ModelArtifact>,
    /// Owners by UID, and who names a model.
    pub mcp_servers: Store<McpServer>,
}

impl Wakes {
    /// Puts the objects into their queues.
    pub async fn send(&self, wakes: Vec<Wake>) {
        for wake in wakes {
            // An error means that the controller has ended, and so will this task.
            match wake {
                Wake::Deployment(object) => {
                    let _ = self.triggers.deployments.send(object).await;
                }
                Wake::Artifact(object) => {
                    let _ = self.triggers.artifacts.send(object).await;
                }
                Wake::Server(object) => {
                    let _ = self.triggers.servers.send(object).await;
                }
            }
        }
    }

    /// Itself, the MCP servers that name it, and the artifacts of its namespace, since it may have begun or ceased to use
    /// one.
    pub fn model_deployment(&self, object: &ModelDeployment) -> Vec<Wake> {
        let namespace = object.namespace().unwrap_or_default();
        let mut wakes = vec![Wake::Deployment(ObjectRef::from_obj(object))];
        let observed = object.status.as_ref().and_then(|s| s.observed_generation);
        if !is_status(&self.model_deployments, object, observed) {
            wakes.extend(self.artifacts_in(&namespace));
        }
        wakes.extend(self.servers(|server| references::names_model(server, object)));
        wakes
    }

    /// Itself, and the models that it names, or no longer names, in its namespace: their edges let it in. Where there are
    /// more servers than a model has places for, all of them: one that goes makes room for another.
    pub fn mcp_server(&self, object: &McpServer) -> Vec<Wake> {
        let namespace = object.namespace();
        let mut wakes = vec![Wake::Server(ObjectRef::from_obj(object))];
        let observed = object.status.as_ref().and_then(|s| s.observed_generation);
        if is_status(&self.mcp_servers, object, observed) {
            return wakes;
        }
        wakes.extend(
            self.model_deployments
                .state_filter(|model| model.namespace() == namespace)
                .iter()
                .map(|model| Wake::Deployment(ObjectRef::from_obj(&**model))),
        );
        let near = self.servers(|server| server.namespace() == namespace);
        if near.len() >= references::MOST {
            wakes.extend(near);
        }
        wakes
    }

    /// Its owner, and the MCP servers that name it.
    pub fn service(&self, object: &Service) -> Vec<Wake> {
        let mut wakes = owners(object);
        wakes.extend(self.servers(|server| references::names_service(server, object)));
        wakes
    }

    /// Itself and whoever waits for it.
    pub fn model_artifact(&self, object: &ModelArtifact) -> Vec<Wake> {
        let mut wakes = vec![Wake::Artifact(ObjectRef::from_obj(object))];
        wakes.extend(owners(object));
        wakes
    }

    /// Its owner.
    pub fn child<K: Resource>(&self, object: &K) -> Vec<Wake> {
        owners(object)
    }

    /// Its owner, the artifacts that its template mounts, and those that its owner has: one that the template before
    /// mounted, without a pod that ends, would not hear of it otherwise.
    pub fn deployment(&self, object: &Deployment) -> Vec<Wake> {
        let mut wakes = owners(object);
        let template = object
            .spec
            .as_ref()
            .and_then(|s| s.template.metadata.as_ref());
        let labels = template.and_then(|meta| meta.labels.as_ref());
        let namespace = object.namespace().unwrap_or_default();
        wakes.extend(
            labels
                .into_iter()
                .flat_map(|labels| mounted(labels, &namespace)),
        );
        wakes.extend(self.artifacts_beside(object));
        wakes
    }

    /// The object that it works for, and the artifacts that it mounts.
    pub fn pod(&self, pod: &Pod) -> Vec<Wake> {
        let namespace = pod.namespace().unwrap_or_default();
        let mut wakes = Vec::new();
        if let Some(owner_uid) = pod.labels().get(OWNER_UID) {
            wakes.extend(self.owner(owner_uid));
        }
        wakes.extend(mounted(pod.labels(), &namespace));
        wakes
    }

    /// Its owner; the shared one concerns everybody in its namespace.
    pub fn network_policy(&self, policy: &NetworkPolicy) -> Vec<Wake> {
        if policy.metadata.name.as_deref() != Some(SEALED_POLICY) {
            return owners(policy);
        }
        let namespace = policy.namespace().unwrap_or_default();
        let mut wakes = self.in_namespace(&namespace);
        wakes.extend(self.artifacts_in(&namespace));
        wakes
    }

    /// What serves in it: its labels decide what the guard refuses there, and whether a model of another namespace lets
    /// its MCP servers in.
    pub fn namespace(&self, name: &str) -> Vec<Wake> {
        self.in_namespace(name)
    }

    /// Everything that serves: each says whether the guard is there.
    pub fn guard<K>(&self, _: &K) -> Vec<Wake> {
        let mut wakes = self.deployments();
        wakes.extend(self.servers(|_| true));
        wakes
    }
}

/// Whether an event tells of nothing but a status, which is of the generation that the object has: whom its spec concerns
/// was woken when that was new. Without this, many objects of a namespace that change together wake all others each time.
fn is_status<K>(store: &Store<K>, object: &K, observed: Option<i64>) -> bool
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    // The store has the event already: of an object that was deleted it has none, or the next one.
    let there = store.get(&ObjectRef::from_obj(object));
    let stays = there.is_some_and(|there| uid(&*there) == uid(object));
    let meta = object.meta();
    stays && meta.deletion_timestamp.is_none() && observed.is_some() && observed == meta.generation
}

/// The artifacts that whoever has these labels mounts.
fn mounted(labels: &BTreeMap<String, String>, namespace: &str) -> Vec<Wake> {
    artifacts_of(labels)
        .map(|name| Wake::Artifact(ObjectRef::new(name).within(namespace)))
        .collect()
}

/// The owners of our kinds that the object names, whether they control it or not.
fn owners<K: Resource>(object: &K) -> Vec<Wake> {
    let namespace = object.meta().namespace.clone().unwrap_or_default();
    let owners = object.meta().owner_references.iter().flatten();
    owners
        .filter(|owner| owner.api_version.starts_with("sealroom.dev/"))
        .filter_map(|owner| match owner.kind.as_str() {
            "ModelDeployment" => Some(Wake::Deployment(
                ObjectRef::new(&owner.name).within(&namespace),
            )),
            "ModelArtifact" => Some(Wake::Artifact(
                ObjectRef::new(&owner.name).within(&namespace),
            )),
            "McpServer" => Some(Wake::Server(ObjectRef::new(&owner.name).within(&namespace))),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
#[path = "trigger_tests.rs"]
mod tests;
