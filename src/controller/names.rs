//! Names and labels of everything that the operator makes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use sha2::{Digest as _, Sha256};

/// The field manager of every write.
pub const MANAGER: &str = "sealroom";
/// The policy that closes every sealed pod of a namespace.
pub const SEALED_POLICY: &str = "sealroom-sealed";
/// The lease of the leader.
pub const LEASE: &str = "sealroom-operator";
/// Label: how a pod is sealed (`serve`, `pull`, `mcp`).
pub const SEALED: &str = "sealroom.dev/sealed";
/// Label: the UID of the object that a pod works for.
pub const OWNER_UID: &str = "sealroom.dev/owner-uid";
/// Label: the ModelArtifact whose volume a pod mounts.
pub const ARTIFACT: &str = "sealroom.dev/artifact";
/// Beginning of the labels of the further ModelArtifacts whose volumes a pod mounts.
const FURTHER_ARTIFACT: &str = "sealroom.dev/artifact.";
/// Label: the object whose models' volumes lie on one node.
pub const TOGETHER: &str = "sealroom.dev/together";
/// Annotation: the hash of what was last applied.
pub const APPLIED: &str = "sealroom.dev/applied";
/// Condition of pods that the operator sets when both proofs hold; a readiness gate.
pub const READINESS_GATE: &str = "sealroom.dev/sealed";
/// Label that marks what is ours.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label of the name of the object.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: which part.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Label: which program.
pub const NAME: &str = "app.kubernetes.io/name";
/// Selects our children.
pub const MANAGED_SELECTOR: &str = "app.kubernetes.io/managed-by=sealroom";

/// What children of models are called, whatever their component.
const MODEL: &str = "sealroom-model";
/// What children of MCP servers are called.
pub const MCP: &str = "sealroom-mcp";

/// The labels of a child of a model.
#[must_use]
pub fn labels(component: &str, instance: &str) -> BTreeMap<String, String> {
    labels_of(MODEL, component, instance)
}

/// The labels of a child of this program.
#[must_use]
pub fn labels_of(program: &str, component: &str, instance: &str) -> BTreeMap<String, String> {
    BTreeMap::from(
        [
            (NAME, program),
            (INSTANCE, instance),
            (COMPONENT, component),
            (MANAGED_BY, MANAGER),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    )
}

/// The first `digits` hex digits of the SHA-256 of the parts, each with its length, so that no two lists of
/// parts read alike.
#[must_use]
pub fn short_hash<'a>(parts: impl IntoIterator<Item = &'a str>, digits: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut hex: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.truncate(digits);
    hex
}

/// Label of a further ModelArtifact whose volume a pod mounts: its value is empty, since one key has one value.
#[must_use]
pub fn further_artifact(name: &str) -> String {
    format!("{FURTHER_ARTIFACT}{name}")
}

/// The ModelArtifacts whose volumes a pod with these labels mounts.
pub fn artifacts_of(labels: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    let further = labels.keys();
    let further = further.filter_map(|key| key.strip_prefix(FURTHER_ARTIFACT));
    labels
        .get(ARTIFACT)
        .map(String::as_str)
        .into_iter()
        .chain(further)
}

/// The edges of an object.
#[must_use]
pub fn edge_policy(object: &str) -> String {
    format!("sealroom-edge-{object}")
}

/// The metadata of a child that its owner takes along.
#[must_use]
pub fn child_meta<K: Resource<DynamicType = ()>>(
    owner: &K,
    name: String,
    component: &str,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: owner.namespace(),
        labels: Some(labels_of(program::<K>(), component, &owner.name_any())),
        owner_references: owner_reference(owner).map(|reference| vec![reference]),
        ..ObjectMeta::default()
    }
}

fn program<K: Resource<DynamicType = ()>>() -> &'static str {
    if K::kind(&()) == "McpServer" {
        MCP
    } else {
        MODEL
    }
}

/// The controlling reference to an owner that the API server has.
#[must_use]
pub fn owner_reference<K: Resource<DynamicType = ()>>(owner: &K) -> Option<OwnerReference> {
    owner.controller_owner_ref(&())
}

/// The UID, empty for an object that no API server has seen.
#[must_use]
pub fn uid<K: Resource>(object: &K) -> &str {
    object.meta().uid.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_artifact_of_a_pod_is_found() {
        let pod = BTreeMap::from([
            (ARTIFACT.to_owned(), "chat-0".to_owned()),
            (further_artifact("vectors-1"), String::new()),
            (TOGETHER.to_owned(), "five".to_owned()),
        ]);
        assert_eq!(
            artifacts_of(&pod).collect::<Vec<_>>(),
            ["chat-0", "vectors-1"]
        );
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(short_hash(["ab", "c"], 10), short_hash(["a", "bc"], 10));
        assert_eq!(short_hash(["a"], 10).len(), 10);
    }
}
