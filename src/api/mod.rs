//! The custom resources of `sealroom.dev/v1alpha1`, one kind per file.

pub mod common;
pub mod condition;
pub mod mcp_server;
pub mod memory;
pub mod model_artifact;
pub mod model_deployment;
mod schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use common::{
    AccessMode, ConfigMapRef, Delivery, DeliveryType, PersistentVolumeClaimDelivery, Scheduling,
    SecretRef, TopologySpread, WhenUnsatisfiable,
};
pub use condition::{ConditionType, Reason};
pub use mcp_server::{McpServer, McpServerSpec, McpServerStatus};
pub use model_artifact::{ModelArtifact, ModelArtifactSpec, ModelArtifactStatus};
pub use model_deployment::{ModelDeployment, ModelDeploymentSpec, ModelDeploymentStatus};

/// The API group of every kind here.
pub const GROUP: &str = "sealroom.dev";

/// The definitions to install, sorted by name.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [
        McpServer::crd(),
        ModelArtifact::crd(),
        ModelDeployment::crd(),
    ]
    .into_iter()
    .map(schema::tidy)
    .collect()
}

/// The file name and YAML text of each definition, as `crds/` holds them.
///
/// # Errors
/// When a definition cannot be written as YAML, which is a defect of this program.
pub fn crd_files() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    crds()
        .iter()
        .map(|crd| {
            let file = format!("{}.yaml", crd.spec.names.plural);
            serde_saphyr::to_string(crd).map(|yaml| (file, yaml))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn files_are_up_to_date() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        let files = crd_files().unwrap();
        for (file, yaml) in &files {
            let there = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
            assert!(
                there == *yaml,
                "crds/{file} is not what the types say: run `sealroom crds --to crds`"
            );
        }
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), files.len());
    }

    /// Everything a user can write has an upper bound, so that no object grows without one and the API
    /// server can bound the cost of rules.
    #[test]
    fn lists_maps_and_strings_have_bounds() {
        for crd in crds() {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            let mut found = Vec::new();
            unbounded(
                &schema["openAPIV3Schema"],
                crd.spec.names.kind.as_str(),
                &mut found,
            );
            assert!(found.is_empty(), "{found:#?}");
        }
    }

    fn unbounded(schema: &Value, path: &str, found: &mut Vec<String>) {
        let has = |key: &str| schema.get(key).is_some_and(|v| !v.is_null());
        let bounded = match schema["type"].as_str() {
            Some("string") => has("maxLength") || has("enum") || has("format"),
            Some("array") => has("maxItems"),
            Some("object") if has("additionalProperties") => has("maxProperties"),
            Some(_) => true,
            None => has("x-kubernetes-int-or-string"),
        };
        if !bounded {
            found.push(path.to_owned());
        }
        if schema["description"].as_str().is_none_or(str::is_empty) && !path.ends_with(']') {
            found.push(format!("{path} has no description"));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if !(path.matches('.').count() == 0 && name == "metadata") {
                unbounded(property, &format!("{path}.{name}"), found);
            }
        }
        for key in ["items", "additionalProperties"] {
            if schema[key].is_object() {
                unbounded(&schema[key], &format!("{path}[]"), found);
            }
        }
    }

    #[test]
    fn nothing_is_nullable() {
        for (_, yaml) in crd_files().unwrap() {
            assert!(!yaml.contains("nullable"));
        }
    }
}
