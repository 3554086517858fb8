//! Which objects a change concerns.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;

use super::mcp_server::references;
use super::names::{OWNER_UID, SEALED_POLICY, artifacts_of};
use crate::api::{McpServer, ModelArtifact, ModelDeployment};

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

    /// Itself, the artifacts of its namespace, since it may have begun or ceased to use one, and the MCP servers that
    /// name it.
    pub fn model_deployment(&self, object: &ModelDeployment) -> Vec<Wake> {
        let namespace = object.namespace().unwrap_or_default();
        let mut wakes = vec![Wake::Deployment(ObjectRef::from_obj(object))];
        wakes.extend(self.artifacts_in(&namespace));
        wakes.extend(self.servers(|server| references::names_model(server, object)));
        wakes
    }

    /// Itself, and the models that it names, or no longer names, in its namespace: their edges let it in. Where there are
    /// more servers than a model has places for, all of them: one that goes makes room for another.
    pub fn mcp_server(&self, object: &McpServer) -> Vec<Wake> {
        let namespace = object.namespace();
        let mut wakes = vec![Wake::Server(ObjectRef::from_obj(object))];
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

    /// Its owner, and the artifacts that its template mounts.
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
        wakes
    }

    /// The object that it works for, and the artifacts that it mounts.
    pub fn pod(&self, pod: &Pod) -> Vec<Wake> {
        let namespace = pod.namespace().unwrap_or_default();
        let mut wakes = Vec::new();
        if let Some(uid) = pod.labels().get(OWNER_UID) {
            wakes.extend(self.owner(uid));
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

    fn in_namespace(&self, name: &str) -> Vec<Wake> {
        let models = self
            .model_deployments
            .state_filter(|object| object.namespace().as_deref() == Some(name));
        let mut wakes: Vec<Wake> = models
            .iter()
            .map(|object| Wake::Deployment(ObjectRef::from_obj(&**object)))
            .collect();
        wakes.extend(self.servers(|server| server.namespace().as_deref() == Some(name)));
        wakes
    }

    fn servers(&self, which: impl Fn(&McpServer) -> bool) -> Vec<Wake> {
        self.mcp_servers
            .state_filter(|server| which(server))
            .iter()
            .map(|server| Wake::Server(ObjectRef::from_obj(&**server)))
            .collect()
    }

    /// Every object of ours.
    #[must_use]
    pub fn everything(&self) -> Vec<Wake> {
        let artifacts = self.model_artifacts.state();
        let mut wakes = self.deployments();
        wakes.extend(self.servers(|_| true));
        wakes.extend(
            artifacts
                .iter()
                .map(|object| Wake::Artifact(ObjectRef::from_obj(&**object))),
        );
        wakes
    }

    /// Every ModelDeployment.
    #[must_use]
    pub fn deployments(&self) -> Vec<Wake> {
        let deployments = self.model_deployments.state();
        deployments
            .iter()
            .map(|object| Wake::Deployment(ObjectRef::from_obj(&**object)))
            .collect()
    }

    /// The object of that UID.
    #[must_use]
    pub fn owner(&self, uid: &str) -> Option<Wake> {
        let is = |meta: Option<String>| meta.as_deref() == Some(uid);
        self.model_deployments
            .find(|object| is(object.uid()))
            .map(|object| Wake::Deployment(ObjectRef::from_obj(&*object)))
            .or_else(|| {
                self.model_artifacts
                    .find(|object| is(object.uid()))
                    .map(|object| Wake::Artifact(ObjectRef::from_obj(&*object)))
            })
            .or_else(|| {
                self.mcp_servers
                    .find(|object| is(object.uid()))
                    .map(|object| Wake::Server(ObjectRef::from_obj(&*object)))
            })
    }

    fn artifacts_in(&self, namespace: &str) -> Vec<Wake> {
        self.model_artifacts
            .state_filter(|object| object.namespace().as_deref() == Some(namespace))
            .iter()
            .map(|object| Wake::Artifact(ObjectRef::from_obj(&**object)))
            .collect()
    }
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
