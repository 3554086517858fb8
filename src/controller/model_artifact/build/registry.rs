//! The registry's declaration and authority, as the pulling pods read them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

use crate::api::ModelArtifact;
use crate::controller::config::Registry;
use crate::controller::names::{child_meta, short_hash};

/// An immutable ConfigMap, named by the hash of what is in it.
#[must_use]
pub fn build(artifact: &ModelArtifact, registry: &Registry) -> ConfigMap {
    let declaration = serde_json::to_string(registry).unwrap_or_default();
    let name = format!(
        "{}-registry-{}",
        artifact.name_any(),
        short_hash([declaration.as_str()], 8)
    );
    ConfigMap {
        metadata: child_meta(artifact, name, "registry"),
        data: Some(BTreeMap::from([
            ("registry.json".to_owned(), declaration),
            ("ca.crt".to_owned(), registry.ca.clone()),
        ])),
        immutable: Some(true),
        binary_data: None,
    }
}
