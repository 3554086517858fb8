//! The ModelArtifact: one per digest, storage, place and layout in a namespace.

use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::super::validate::Model;
use crate::api::model_artifact::Layout;
use crate::api::{ModelArtifact, ModelArtifactSpec, ModelDeployment};
use crate::controller::names::{labels, owner_reference, short_hash};
use crate::types::ImageRef;

const READABLE: usize = 20;

/// Its name: what the repository is called, and a hash of everything that must be equal for two objects to
/// share one volume. At most 33 characters, so that the names of its own children fit.
#[must_use]
pub fn name(image: &ImageRef, object: &ModelDeployment) -> String {
    let spec = &object.spec;
    let text = |value: serde_json::Result<String>| value.unwrap_or_default();
    let delivery = text(serde_json::to_string(&spec.delivery.claim()));
    let place = text(serde_json::to_string(&spec.scheduling));
    let reference = image.to_string();
    let hash = short_hash(
        [&reference, &delivery, &place, Layout::LlamaCpp.as_str()],
        12,
    );
    let last = image.repository().rsplit('/').next().unwrap_or_default();
    let readable: String = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(READABLE)
        .collect();
    // Names of Services and labels begin with a letter; repositories may begin with a digit.
    let readable = readable.trim_matches('-');
    if readable.starts_with(|c: char| c.is_ascii_alphabetic()) {
        format!("{readable}-{hash}")
    } else {
        format!("m-{hash}")
    }
}

/// The object as its first user makes it. Its reconciler keeps the owners and the Secrets from then on.
#[must_use]
pub fn build(model: &Model, object: &ModelDeployment) -> ModelArtifact {
    let name = name(&model.image, object);
    let owner = owner_reference(object).map(|mut owner| {
        owner.controller = Some(false);
        owner.block_owner_deletion = Some(false);
        owner
    });
    ModelArtifact {
        metadata: ObjectMeta {
            labels: Some(labels("artifact", &name)),
            name: Some(name),
            namespace: object.namespace(),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: ModelArtifactSpec {
            image: model.image.to_string(),
            pull_secrets: model.pull_secrets.clone(),
            layout: Layout::LlamaCpp,
            delivery: object.spec.delivery.clone(),
            scheduling: object.spec.scheduling.clone(),
        },
        status: None,
    }
}
