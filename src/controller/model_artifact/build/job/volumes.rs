//! What the pods of a Job mount.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, KeyToPath, PersistentVolumeClaimVolumeSource, SecretVolumeSource,
    Volume, VolumeMount,
};
use kube::ResourceExt;

use super::super::registry;
use super::Step;
use crate::api::ModelArtifact;
use crate::controller::config::Registry;
use crate::controller::pod;

const AUTH: &str = "/etc/sealroom/auth";

/// Where a Secret lies. A message about the file names the Secret.
pub(super) fn mounted(secret: &str) -> String {
    format!("{AUTH}/{secret}")
}

/// The volumes of a Job, and where its container has them.
pub(super) fn volumes(
    step: Step,
    artifact: &ModelArtifact,
    registry: &Registry,
) -> (Vec<Volume>, Vec<VolumeMount>) {
    let model = match step {
        Step::Plan => pod::scratch("models", "16Mi"),
        Step::Pull => Volume {
            name: "models".to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: artifact.name_any(),
                read_only: None,
            }),
            ..Volume::default()
        },
    };
    let declaration = Volume {
        name: "registry".to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: registry::build(artifact, registry).name_any(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let mut volumes = vec![model, declaration];
    let mut mounts = vec![
        pod::mount("models", "/models", false),
        pod::mount("registry", "/etc/sealroom/registry", true),
    ];
    for (index, secret) in artifact.spec.pull_secrets.iter().enumerate() {
        let name = format!("auth-{index}");
        mounts.push(pod::mount(&name, &mounted(&secret.name), true));
        volumes.push(Volume {
            name,
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret.name.clone()),
                // The process that misses it says so by name, and goes on when it comes.
                optional: Some(true),
                items: Some(vec![KeyToPath {
                    key: ".dockerconfigjson".to_owned(),
                    path: ".dockerconfigjson".to_owned(),
                    mode: None,
                }]),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    (volumes, mounts)
}

/// The claim of another artifact of the same object.
pub(super) fn other(artifact: &str) -> Volume {
    Volume {
        name: format!("beside-{artifact}"),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: artifact.to_owned(),
            read_only: Some(true),
        }),
        ..Volume::default()
    }
}
