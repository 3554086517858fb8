//! Objects to look at again, by namespace, by UID, or all.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::{Wake, Wakes};
use crate::api::{McpServer, ModelArtifact};
use crate::controller::names::uid;

impl Wakes {
    /// What serves in the namespace.
    pub(super) fn in_namespace(&self, name: &str) -> Vec<Wake> {
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

    /// The MCP servers for which that holds.
    pub(super) fn servers(&self, which: impl Fn(&McpServer) -> bool) -> Vec<Wake> {
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
    pub fn owner(&self, owner_uid: &str) -> Option<Wake> {
        self.model_deployments
            .find(|object| uid(object) == owner_uid)
            .map(|object| Wake::Deployment(ObjectRef::from_obj(&*object)))
            .or_else(|| {
                self.model_artifacts
                    .find(|object| uid(object) == owner_uid)
                    .map(|object| Wake::Artifact(ObjectRef::from_obj(&*object)))
            })
            .or_else(|| {
                self.mcp_servers
                    .find(|object| uid(object) == owner_uid)
                    .map(|object| Wake::Server(ObjectRef::from_obj(&*object)))
            })
    }

    /// The artifacts of the namespace.
    pub(super) fn artifacts_in(&self, namespace: &str) -> Vec<Wake> {
        self.artifacts(namespace, &|_| true)
    }

    /// The artifacts of the namespace that have an owner of this object's.
    pub(super) fn artifacts_beside(&self, object: &Deployment) -> Vec<Wake> {
        let owners = object.owner_references();
        let shared = |one: &OwnerReference| owners.iter().any(|owner| owner.uid == one.uid);
        self.artifacts(&object.namespace().unwrap_or_default(), &|artifact| {
            artifact.owner_references().iter().any(shared)
        })
    }

    /// The artifacts of the namespace for which that holds.
    fn artifacts(&self, namespace: &str, which: &dyn Fn(&ModelArtifact) -> bool) -> Vec<Wake> {
        self.model_artifacts
            .state_filter(|object| {
                object.namespace().as_deref() == Some(namespace) && which(object)
            })
            .iter()
            .map(|object| Wake::Artifact(ObjectRef::from_obj(&**object)))
            .collect()
    }
}
