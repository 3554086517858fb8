//! The Deployment of the serving pods.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume};
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::super::validate::Model;
use super::{gate, runtime};
use crate::api::{ModelArtifact, ModelDeployment};
use crate::controller::config::Config;
use crate::controller::names::{
    ARTIFACT, COMPONENT, INSTANCE, NAME, OWNER_UID, SEALED, TOGETHER, child_meta, further_artifact,
    labels, uid,
};
use crate::controller::pod;
use crate::controller::serving::{access, template};
use crate::types::AtLeastOne;

/// What the pods are made from beside the object itself.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The validated object.
    pub model: &'a Model,
    /// Where the weights of each of its models lie, in their order.
    pub weights: AtLeastOne<Weights>,
    /// Where what the engine reads beside the model lies, in the order of the model's parts.
    pub parts: Vec<Weights>,
    /// Bytes of memory that the runtime needs, where that is known.
    pub memory: Option<u64>,
    /// One or two public keys, PEM, that challenges may be signed with.
    pub verify_keys: &'a str,
    /// The platform's configuration.
    pub config: &'a Config,
}

/// Where a model's weights lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The ModelArtifact's name, which is the claim's too.
    pub artifact: String,
    /// The file that the engine opens, relative to the volume's root.
    pub entry: String,
}

impl Weights {
    /// Those of an artifact, as far as it is known.
    #[must_use]
    pub fn of(artifact: &ModelArtifact) -> Self {
        let facts = artifact.status.as_ref().and_then(|s| s.artifact.as_ref());
        let entry = facts.and_then(|facts| facts.entry.clone());
        // It becomes a part of an argument, in which , and : mean something.
        let entry = entry.filter(|entry| !entry.contains([',', ':', '/']));
        Self {
            artifact: artifact.name_any(),
            entry: entry.unwrap_or_else(|| "model.gguf".to_owned()),
        }
    }
}

impl Inputs<'_> {
    /// The one artifact that there is, if there is no other.
    #[must_use]
    pub fn only(&self) -> Option<&Weights> {
        self.weights.only().filter(|_| self.parts.is_empty())
    }

    /// Each artifact once, though two models may be made of one.
    #[must_use]
    pub fn artifacts(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for weights in self.weights.iter().chain(&self.parts) {
            if !names.contains(&weights.artifact.as_str()) {
                names.push(&weights.artifact);
            }
        }
        names
    }
}

/// Selects the serving pods of exactly this object, whatever bore its name before.
#[must_use]
pub fn selector(object: &ModelDeployment) -> BTreeMap<String, String> {
    let mut labels = labels("model", &object.name_any());
    labels.retain(|key, _| [NAME, INSTANCE, COMPONENT].contains(&key.as_str()));
    labels.insert(OWNER_UID.to_owned(), uid(object).to_owned());
    labels
}

/// The Deployment; its name is the object's.
#[must_use]
pub fn build(object: &ModelDeployment, inputs: &Inputs<'_>) -> Deployment {
    Deployment {
        metadata: child_meta(object, object.name_any(), "model"),
        spec: Some(template::deployment(
            object.spec.replicas,
            &selector(object),
            object.spec.rollout.rollout_type,
            pods(object, inputs),
        )),
        status: None,
    }
}

fn pods(object: &ModelDeployment, inputs: &Inputs<'_>) -> PodTemplateSpec {
    let spec = &object.spec;
    let mut labels = labels("model", &object.name_any());
    labels.insert(OWNER_UID.to_owned(), uid(object).to_owned());
    let artifact = inputs.weights.first.artifact.as_str();
    labels.insert(ARTIFACT.to_owned(), artifact.to_owned());
    for further in inputs.artifacts().iter().skip(1) {
        labels.insert(further_artifact(further), String::new());
    }
    if inputs.model.sealed {
        labels.insert(SEALED.to_owned(), "serve".to_owned());
    }
    let mode = spec.delivery.claim().access_mode;
    let name = object.name_any();
    let together = if object.has_several_artifacts() {
        (TOGETHER, name.as_str())
    } else {
        (ARTIFACT, artifact)
    };
    if mode.one_node() {
        labels.insert(together.0.to_owned(), together.1.to_owned());
    }
    let shared = mode.one_node().then_some(together);
    let mut pod = pod::base(inputs.config, &spec.scheduling, shared);
    pod::schedule(&mut pod, &spec.scheduling, &selector(object));
    pod::join(&mut pod, &spec.runtime.supplemental_groups);
    pod.termination_grace_period_seconds = Some(spec.drain_seconds);
    pod.readiness_gates = inputs.model.sealed.then(template::readiness_gates);
    pod.init_containers = Some(vec![gate::copy(inputs), gate::build(object, inputs)]);
    pod.containers = vec![runtime::build(object, inputs)];
    pod.volumes = Some(volumes(object, inputs));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            ..ObjectMeta::default()
        }),
        spec: Some(pod),
    }
}

fn volumes(object: &ModelDeployment, inputs: &Inputs<'_>) -> Vec<Volume> {
    let claims = runtime::mounts(inputs).into_iter().zip(inputs.artifacts());
    let mut volumes: Vec<Volume> = claims
        .map(|(mount, artifact)| Volume {
            name: mount.name,
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: artifact.to_owned(),
                read_only: Some(true),
            }),
            ..Volume::default()
        })
        .collect();
    volumes.extend([
        pod::scratch("bin", "64Mi"),
        pod::scratch("lease", "1Mi"),
        pod::scratch("socket", "1Mi"),
        pod::scratch("tmp", "256Mi"),
    ]);
    let settings = runtime::settings(inputs).first;
    if inputs.model.engine.particulars().has_store(&settings) {
        volumes.push(pod::scratch("store", "4Mi"));
    }
    volumes.extend(access::volumes(&object.spec.access));
    volumes
}
