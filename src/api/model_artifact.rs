//! `ModelArtifact`: one artifact in one volume, pulled once.

#![allow(
    clippy::duplicated_attributes,
    reason = "the derive repeats the fields' attributes on the structs that it makes of them"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Delivery, Scheduling, SecretRef, schema};
use crate::gguf::Kind;

/// What to pull, and where to. The operator writes these objects; nobody else needs to.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sealroom.dev",
    version = "v1alpha1",
    kind = "ModelArtifact",
    plural = "modelartifacts",
    namespaced,
    status = "ModelArtifactStatus",
    derive = "PartialEq",
    shortname = "ma",
    category = "sealroom",
    doc = "One model artifact, selected by digest, in one volume. The operator makes it for the ModelDeployments that name the digest, shares it between them, and deletes it when nothing uses it any more.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="ArtifactReady")].reason"#
    ),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress.percent"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".spec.image",
        priority = 1
    ),
    printcolumn(
        name = "Bytes",
        type_ = "integer",
        json_path = ".status.artifact.bytes",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ModelArtifactSpec {
    /// The artifact by digest: `host[:port]/repository@sha256:…`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("image cannot change: another digest is another ModelArtifact"))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9][a-z0-9.-]*(:[0-9]+)?/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$')").message("write host[:port]/repository@sha256:<64 lower-case hex digits>, without a tag"))]
    pub image: String,
    /// Secrets of type `kubernetes.io/dockerconfigjson` with the registry's credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub pull_secrets: Vec<SecretRef>,
    /// How the files lie in the volume, by the engine that reads them.
    #[x_kube(validation = Rule::new("self == oldSelf").message("layout cannot change"))]
    pub layout: Layout,
    /// What the file must be: a `Model` (default), an `Adapter` or a `Projector`.
    #[serde(default, skip_serializing_if = "Kind::is_model")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("kind cannot change: another kind is another ModelArtifact"))]
    pub kind: Kind,
    /// The volume that holds the files.
    #[serde(default)]
    pub delivery: Delivery,
    /// Where the pulling pods run: where the serving pods will.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("scheduling cannot change: another place is another ModelArtifact"))]
    pub scheduling: Scheduling,
}

/// How files lie in a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Layout {
    /// One GGUF file, `model.gguf`.
    LlamaCpp,
}

impl Layout {
    /// As the flag `--layout` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LlamaCpp => "LlamaCpp",
        }
    }
}

/// What became of the artifact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelArtifactStatus {
    /// Conditions: Ready, Reconciling, Stalled, ArtifactReady.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The generation that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How far the pull is; written at most every ten seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What was found: planned first, complete once verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactFacts>,
    /// True once the bytes in the claim were verified against the digest. It stays as long as the claim does.
    #[serde(default)]
    pub verified: bool,
}

/// How far a pull is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Bytes in the volume.
    pub bytes: u64,
    /// Bytes of the whole artifact.
    pub total: u64,
    /// The share as text, such as `42%`.
    #[schemars(length(max = 8))]
    pub percent: String,
}

/// What the manifest and the model's header say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactFacts {
    /// The manifest's digest, `sha256:…`.
    #[schemars(length(max = 128))]
    pub digest: String,
    /// The weights' format: `GGUF`.
    #[schemars(length(max = 32))]
    pub format: String,
    /// How many files.
    #[serde(default)]
    pub files: u32,
    /// The digest over the list of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub files_digest: Option<String>,
    /// Size of all files in bytes.
    pub bytes: u64,
    /// The licence's SPDX identifier, such as `Apache-2.0`, where the artifact names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub license: Option<String>,
    /// The model's architecture, such as `llama`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub architecture: Option<String>,
    /// How the weights are quantised, such as `Q4_1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub quantization: Option<String>,
    /// The family of the model's chat template, such as `ChatML`, where it is a known one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub chat_template: Option<String>,
    /// How the model makes a vector of a text: `None` where it was not made for that, `Mean`, `Cls`, `Last`, or `Rank`
    /// for one that ranks documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub pooling: Option<String>,
    /// The file that the engine opens, relative to the volume's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub entry: Option<String>,
    /// The shape of the model's layers, from which memory is computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub geometry: Option<serde_json::Value>,
}
