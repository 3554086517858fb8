//! The claim, sized by what the plan found.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

use crate::api::ModelArtifact;
use crate::controller::config::Config;
use crate::controller::names::child_meta;

const MIB: u64 = 1 << 20;

/// What a volume must hold: the files, a twentieth for the file system, and 64 MiB.
#[must_use]
pub fn size(bytes: u64) -> u64 {
    let needed = bytes.saturating_add(bytes / 20).saturating_add(64 * MIB);
    needed.div_ceil(MIB)
}

/// The claim; its name is the artifact's.
#[must_use]
pub fn build(artifact: &ModelArtifact, bytes: u64, config: &Config) -> PersistentVolumeClaim {
    let claim = artifact.spec.delivery.claim();
    let size = claim
        .size
        .unwrap_or_else(|| Quantity(format!("{}Mi", size(bytes))));
    PersistentVolumeClaim {
        metadata: child_meta(artifact, artifact.name_any(), "artifact"),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![claim.access_mode.as_str().to_owned()]),
            storage_class_name: claim
                .storage_class_name
                .or_else(|| config.storage_class_name.clone()),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), size)])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_room_for_the_file_system() {
        assert_eq!(super::size(0), 64);
        assert_eq!(super::size(98_362_432), 163);
        assert_eq!(super::size(100 << 30), 107_584);
    }
}
