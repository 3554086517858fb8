//! Who uses an artifact: specs that name it, and pods and Deployments that mount it.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;

use crate::api::model_deployment::ArtifactSource;
use crate::api::{ModelArtifact, ModelDeployment, SecretRef};
use crate::controller::model_deployment::build::artifact;
use crate::controller::names::{OWNER_UID, SEALED, artifacts_of, owner_reference};
use crate::controller::stores::Stores;
use crate::gguf::Kind;

/// The users of one artifact.
#[derive(Clone, Debug, Default)]
pub struct Users {
    /// Objects that are there and name it or still mount it, by name.
    pub owners: Vec<Arc<ModelDeployment>>,
    /// Whether pods or Deployments mount it, whoever they belong to, terminating ones included.
    pub mounted: bool,
}

impl Users {
    /// Looks them up.
    #[must_use]
    pub fn of(this: &ModelArtifact, stores: &Stores) -> Self {
        let namespace = this.namespace();
        let name = this.name_any();
        let mut uids: Vec<String> = Vec::new();
        // The pods that pull are the artifact's own and keep nothing alive.
        let pods = stores.pods.state_filter(|pod| {
            pod.namespace() == namespace
                && artifacts_of(pod.labels()).any(|of| of == name)
                && pod.labels().get(SEALED).is_some_and(|kind| kind != "pull")
        });
        uids.extend(
            pods.iter()
                .filter_map(|pod| pod.labels().get(OWNER_UID).cloned()),
        );
        let deployments = stores.deployments.state_filter(|deployment| {
            let template = deployment
                .spec
                .as_ref()
                .and_then(|s| s.template.metadata.as_ref());
            let labels = template.and_then(|meta| meta.labels.as_ref());
            deployment.namespace() == namespace
                && labels.is_some_and(|labels| artifacts_of(labels).any(|of| of == name))
        });
        for deployment in &deployments {
            uids.extend(
                deployment
                    .owner_references()
                    .iter()
                    .map(|owner| owner.uid.clone()),
            );
        }
        let mut owners = stores.model_deployments.state_filter(|object| {
            object.namespace() == namespace
                && object.metadata.deletion_timestamp.is_none()
                && (names(object, &name) || object.uid().is_some_and(|uid| uids.contains(&uid)))
        });
        owners.sort_by_key(|owner| owner.name_any());
        Self {
            owners,
            mounted: !pods.is_empty() || !deployments.is_empty(),
        }
    }

    /// Whether nothing needs it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty() && !self.mounted
    }

    /// The whole owner list. None of them controls it or holds up its own deletion for it.
    #[must_use]
    pub fn owner_references(&self) -> Vec<OwnerReference> {
        let references = self
            .owners
            .iter()
            .filter_map(|owner| owner_reference(&**owner));
        references
            .map(|mut reference| {
                reference.controller = Some(false);
                reference.block_owner_deletion = Some(false);
                reference
            })
            .collect()
    }

    /// The Secrets of all who name it, at most eight; none where nobody names it any more.
    #[must_use]
    pub fn pull_secrets(&self, this: &str) -> Option<Vec<SecretRef>> {
        let sources = self.owners.iter().flat_map(|owner| {
            let sources = owner.artifact_sources();
            let named = sources.filter(|source| name_of(*source, owner).as_deref() == Some(this));
            named.map(|(source, _)| source)
        });
        let mut sources = sources.peekable();
        sources.peek()?;
        let mut secrets: Vec<SecretRef> = sources
            .flat_map(|source| source.pull_secrets.clone())
            .collect();
        secrets.sort();
        secrets.dedup();
        secrets.truncate(8);
        Some(secrets)
    }

    /// Whose volumes must be where this one's is, if it is one of several of an object.
    #[must_use]
    pub fn beside(&self, this: &str) -> Option<Beside> {
        let mut several = self
            .owners
            .iter()
            .filter(|owner| owner.has_several_artifacts());
        let owner = several.find(|owner| names(owner, this))?;
        let sources = owner.artifact_sources();
        let mut artifacts: Vec<String> = sources.filter_map(|one| name_of(one, owner)).collect();
        artifacts.retain(|name| name != this);
        artifacts.sort();
        artifacts.dedup();
        Some(Beside {
            object: owner.name_any(),
            artifacts,
        })
    }
}

/// What lies on one node with an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The object that they are of.
    pub object: String,
    /// Its other artifacts.
    pub artifacts: Vec<String>,
}

/// Whether the spec names the artifact. Configuration has no say: what it forbids today may be in use.
fn names(object: &ModelDeployment, artifact: &str) -> bool {
    let mut sources = object.artifact_sources();
    sources.any(|source| name_of(source, object).as_deref() == Some(artifact))
}

fn name_of((source, kind): (&ArtifactSource, Kind), object: &ModelDeployment) -> Option<String> {
    let image = source.image.parse().ok()?;
    Some(artifact::name(&image, kind, object))
}
