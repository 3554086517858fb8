//! The ModelArtifact: one per digest, storage, place and layout in a namespace.

use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::super::models::Served;
use super::super::parts::Part;
use crate::api::model_artifact::Layout;
use crate::api::{ModelArtifact, ModelArtifactSpec, ModelDeployment, SecretRef};
use crate::controller::names::{labels, owner_reference, short_hash};
use crate::gguf::Kind;
use crate::types::ImageRef;

const READABLE: usize = 20;

/// Its name: what the repository is called, and a hash of everything that must be equal for two objects to
/// share one volume. At most 33 characters, so that the names of its own children fit.
///
/// Several artifacts of one object lie on one node together, which volumes of others may not: they share none.
#[must_use]
pub fn name(image: &ImageRef, kind: Kind, object: &ModelDeployment) -> String {
    let spec = &object.spec;
    let text = |value: serde_json::Result<String>| value.unwrap_or_default();
    let delivery = text(serde_json::to_string(&spec.delivery.claim()));
    let place = text(serde_json::to_string(&spec.scheduling.place()));
    let reference = image.to_string();
    let layout = Layout::LlamaCpp.as_str();
    let own = object.has_several_artifacts().then(|| object.name_any());
    let kind = (!kind.is_model()).then(|| kind.as_str());
    let shared = [&reference, &delivery, &place, layout];
    let hash = short_hash(shared.into_iter().chain(own.as_deref()).chain(kind), 12);
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

/// A model's.
#[must_use]
pub fn of_model(model: &Served, object: &ModelDeployment) -> ModelArtifact {
    build(&model.image, &model.pull_secrets, Kind::Model, object)
}

/// That of an adapter or a projector.
#[must_use]
pub fn of_part(part: &Part, object: &ModelDeployment) -> ModelArtifact {
    build(&part.image, &part.pull_secrets, part.kind(), object)
}

/// The object as its first user makes it. Its reconciler keeps the owners and the Secrets from then on.
fn build(
    image: &ImageRef,
    pull_secrets: &[SecretRef],
    kind: Kind,
    object: &ModelDeployment,
) -> ModelArtifact {
    let name = name(image, kind, object);
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
            image: image.to_string(),
            pull_secrets: pull_secrets.to_vec(),
            layout: Layout::LlamaCpp,
            kind,
            delivery: object.spec.delivery.clone(),
            scheduling: object.spec.scheduling.place(),
        },
        status: None,
    }
}
