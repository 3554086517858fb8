//! Which objects a change concerns.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;

use super::names::{ARTIFACT, OWNER_UID, SEALED_POLICY};
use crate::api::{ModelArtifact, ModelDeployment};

/// An object to look at again.
#[derive(Clone, Debug, PartialEq)]
pub enum Wake {
    /// A ModelDeployment.
    Deployment(ObjectRef<ModelDeployment>),
    /// A ModelArtifact.
    Artifact(ObjectRef<ModelArtifact>),
}

/// The queues of the controllers. Full queues hold the watches back; nothing is lost.
#[derive(Clone, Debug)]
pub struct Triggers {
    /// ModelDeployments to look at.
    pub deployments: mpsc::Sender<ObjectRef<ModelDeployment>>,
    /// ModelArtifacts to look at.
    pub artifacts: mpsc::Sender<ObjectRef<ModelArtifact>>,
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
            }
        }
    }

    /// Itself, and the artifacts of its namespace: it may have begun or ceased to use one.
    pub fn model_deployment(&self, object: &ModelDeployment) -> Vec<Wake> {
        let namespace = object.namespace().unwrap_or_default();
        let mut wakes = vec![Wake::Deployment(ObjectRef::from_obj(object))];
        wakes.extend(self.artifacts_in(&namespace));
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

    /// Its owner, and the artifact that its template mounts.
    pub fn deployment(&self, object: &Deployment) -> Vec<Wake> {
        let mut wakes = owners(object);
        let template = object
            .spec
            .as_ref()
            .and_then(|s| s.template.metadata.as_ref());
        if let Some(name) = template
            .and_then(|meta| meta.labels.as_ref())
            .and_then(|labels| labels.get(ARTIFACT))
        {
            let namespace = object.namespace().unwrap_or_default();
            wakes.push(Wake::Artifact(ObjectRef::new(name).within(&namespace)));
        }
        wakes
    }

    /// The object that it works for, and the artifact that it mounts.
    pub fn pod(&self, pod: &Pod) -> Vec<Wake> {
        let namespace = pod.namespace().unwrap_or_default();
        let mut wakes = Vec::new();
        if let Some(uid) = pod.labels().get(OWNER_UID) {
            wakes.extend(self.owner(uid));
        }
        if let Some(name) = pod.labels().get(ARTIFACT) {
            wakes.push(Wake::Artifact(ObjectRef::new(name).within(&namespace)));
        }
        wakes
    }

    /// Its owner; the shared one concerns everybody in its namespace.
    pub fn network_policy(&self, policy: &NetworkPolicy) -> Vec<Wake> {
        if policy.metadata.name.as_deref() != Some(SEALED_POLICY) {
            return owners(policy);
        }
        let namespace = policy.namespace().unwrap_or_default();
        let mut wakes = self.namespace(&namespace);
        wakes.extend(self.artifacts_in(&namespace));
        wakes
    }

    /// The ModelDeployments in it: its labels decide what the guard refuses there.
    pub fn namespace(&self, name: &str) -> Vec<Wake> {
        self.model_deployments
            .state_filter(|object| object.namespace().as_deref() == Some(name))
            .iter()
            .map(|object| Wake::Deployment(ObjectRef::from_obj(&**object)))
            .collect()
    }

    /// Every ModelDeployment: each says whether the guard is there.
    pub fn guard<K>(&self, _: &K) -> Vec<Wake> {
        self.model_deployments
            .state()
            .iter()
            .map(|object| Wake::Deployment(ObjectRef::from_obj(&**object)))
            .collect()
    }

    /// Every object of ours.
    #[must_use]
    pub fn everything(&self) -> Vec<Wake> {
        let artifacts = self.model_artifacts.state();
        let mut wakes = self.deployments();
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
    }

    fn artifacts_in(&self, namespace: &str) -> Vec<Wake> {
        self.model_artifacts
            .state_filter(|object| object.namespace().as_deref() == Some(namespace))
            .iter()
            .map(|object| Wake::Artifact(ObjectRef::from_obj(&**object)))
            .collect()
    }
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
            _ => None,
        })
        .collect()
}
