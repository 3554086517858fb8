//! The Deployment of the serving pods.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, KeyToPath, PersistentVolumeClaimVolumeSource, PodReadinessGate,
    PodTemplateSpec, SecretVolumeSource, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::super::validate::Model;
use super::{gate, runtime};
use crate::api::model_deployment::RolloutType;
use crate::api::{ModelDeployment, SecretRef};
use crate::controller::config::Config;
use crate::controller::names::{
    ARTIFACT, COMPONENT, INSTANCE, NAME, OWNER_UID, READINESS_GATE, SEALED, child_meta, labels, uid,
};
use crate::controller::pod;

/// What the pods are made from beside the object itself.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The validated object.
    pub model: &'a Model,
    /// The ModelArtifact's name, which is the claim's too.
    pub artifact: &'a str,
    /// The file that the engine opens, relative to the volume's root.
    pub entry: &'a str,
    /// Bytes of memory that the runtime needs, where that is known.
    pub memory: Option<u64>,
    /// One or two public keys, PEM, that challenges may be signed with.
    pub verify_keys: &'a str,
    /// The platform's configuration.
    pub config: &'a Config,
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
        spec: Some(DeploymentSpec {
            replicas: Some(object.spec.replicas),
            revision_history_limit: Some(3),
            // Waiting for the seal is no failure: the deadline is the largest there is, which means none.
            progress_deadline_seconds: Some(i32::MAX),
            selector: LabelSelector {
                match_labels: Some(selector(object)),
                ..LabelSelector::default()
            },
            strategy: Some(strategy(object.spec.rollout.rollout_type)),
            template: template(object, inputs),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

fn strategy(rollout: RolloutType) -> DeploymentStrategy {
    match rollout {
        RolloutType::Recreate => DeploymentStrategy {
            type_: Some("Recreate".to_owned()),
            rolling_update: None,
        },
        RolloutType::RollingUpdate => DeploymentStrategy {
            type_: Some("RollingUpdate".to_owned()),
            // The old pods serve until the new ones are proven.
            rolling_update: Some(RollingUpdateDeployment {
                max_surge: Some(IntOrString::Int(1)),
                max_unavailable: Some(IntOrString::Int(0)),
            }),
        },
    }
}

fn template(object: &ModelDeployment, inputs: &Inputs<'_>) -> PodTemplateSpec {
    let spec = &object.spec;
    let mut labels = labels("model", &object.name_any());
    labels.insert(OWNER_UID.to_owned(), uid(object).to_owned());
    labels.insert(ARTIFACT.to_owned(), inputs.artifact.to_owned());
    if inputs.model.sealed {
        labels.insert(SEALED.to_owned(), "serve".to_owned());
    }
    let mode = spec.delivery.claim().access_mode;
    let mut pod = pod::base(inputs.config, &spec.scheduling, inputs.artifact, mode);
    pod.termination_grace_period_seconds = Some(spec.drain_seconds);
    pod.readiness_gates = inputs.model.sealed.then(|| {
        vec![PodReadinessGate {
            condition_type: READINESS_GATE.to_owned(),
        }]
    });
    pod.init_containers = Some(vec![
        gate::copy(object, inputs),
        gate::build(object, inputs),
    ]);
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
    let mut volumes = vec![
        Volume {
            name: "models".to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: inputs.artifact.to_owned(),
                read_only: Some(true),
            }),
            ..Volume::default()
        },
        pod::scratch("bin", "64Mi"),
        pod::scratch("lease", "1Mi"),
        pod::scratch("socket", "1Mi"),
        pod::scratch("tmp", "256Mi"),
    ];
    if inputs.model.engine.particulars().has_store() {
        volumes.push(pod::scratch("store", "4Mi"));
    }
    let access = &object.spec.access;
    if let Some(keys) = &access.api_keys {
        volumes.push(secret("api-keys", &keys.secret_ref));
    }
    if let Some(tls) = &access.tls {
        volumes.push(secret("tls", &tls.secret_ref));
    }
    if let Some(jwt) = &object.spec.access.jwt {
        volumes.push(Volume {
            name: "token-keys".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: jwt.jwks.config_map_ref.name.clone(),
                items: Some(vec![KeyToPath {
                    key: jwt.jwks.key.clone(),
                    path: gate::JWKS.to_owned(),
                    mode: None,
                }]),
                optional: Some(true),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    volumes
}

/// One that may come later: the gate says what is missing.
fn secret(name: &str, reference: &SecretRef) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(reference.name.clone()),
            optional: Some(true),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}
