//! The status of a [`super::ModelDeployment`].

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::memory::MemoryStatus;
use crate::api::schema;

/// What is known. It changes when something does, never by the passing of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelDeploymentStatus {
    /// Conditions: Ready, Reconciling, Stalled, ArtifactReady, Sealed, Available.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The generation that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many pods there are.
    #[serde(default)]
    pub replicas: i32,
    /// How many pods serve.
    #[serde(default)]
    pub ready_replicas: i32,
    /// How many pods are of this generation.
    #[serde(default)]
    pub updated_replicas: i32,
    /// Selects the pods, as text: what the scale subresource shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub selector: Option<String>,
    /// The name that requests carry as `model`; of several models the first one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub served_model_name: Option<String>,
    /// The base URL of the OpenAI API, inside the cluster, such as `http://assistant.team-a.svc:8080/v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub url: Option<String>,
    /// Who may send requests, in words: `nobody: access.from is empty`, `by NetworkPolicy only`, or beside the
    /// NetworkPolicy what the gate asks for: `by NetworkPolicy and API key or token of <issuer>`. What does not
    /// hold now is said behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub callers: Option<String>,
    /// The artifact, where the object has one model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactStatus>,
    /// Of several models each, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub models: Vec<ModelStatus>,
    /// The adapters, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub adapters: Vec<AdapterStatus>,
    /// The projector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projector: Option<ArtifactPhase>,
    /// The memory that a pod's runtime needs; of several models that of the largest that may be loaded at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStatus>,
    /// What the seal consists of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealStatus>,
}

/// One of several models.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelStatus {
    /// The name that requests carry.
    #[schemars(length(max = 128))]
    pub name: String,
    /// How far it is.
    #[serde(flatten)]
    pub own: ArtifactPhase,
}

/// One of the adapters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdapterStatus {
    /// The adapter's name in the spec.
    #[schemars(length(max = 40))]
    pub name: String,
    /// How far it is.
    #[serde(flatten)]
    pub own: ArtifactPhase,
}

/// How far one of the artifacts is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactPhase {
    /// How far its artifact is: the reason of its condition ArtifactReady.
    #[schemars(length(max = 64))]
    pub phase: String,
    /// Its artifact, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactStatus>,
}

/// What the artifact is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactStatus {
    /// The ModelArtifact that holds it.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The manifest's digest, `sha256:…`.
    #[schemars(length(max = 128))]
    pub digest: String,
    /// The weights' format: `GGUF`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub format: Option<String>,
    /// The model's architecture, such as `llama`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub architecture: Option<String>,
    /// How the weights are quantised, such as `Q4_1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub quantization: Option<String>,
    /// Size of all files in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The licence's SPDX identifier, such as `Apache-2.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub license: Option<String>,
}

/// What the seal consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealStatus {
    /// The locks that hold in every serving pod. `Kernel`: the engine can make no network socket.
    /// `KernelStream`: no other network socket than TCP, so where it connects to is held by the network lock
    /// alone; `LandlockPorts` beside it: no TCP port below 32768 but the engine's own, on whatever address.
    /// `NetworkPolicy`: the network lock was proven.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 64)))]
    pub locks: Vec<String>,
    /// Every declared way in and out, such as `in 8080/TCP from McpServer asks`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 512)))]
    pub exits: Vec<String>,
    /// The NetworkPolicies that were evaluated for the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub policies: Vec<PolicyRef>,
    /// What is not tested, such as `otherNode`, and kinds of policy that the cluster has and nobody evaluates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 253)))]
    pub not_evaluated: Vec<String>,
    /// What keeps other users of the namespace from the pods and what belongs to them. `none`: nothing but their
    /// rights. `objects`: admission policies refuse changes of pods, children, claims and status. `objectsAndConnections`:
    /// they also refuse exec, attach, port-forward and ephemeral containers, because the namespace has the label
    /// `sealroom.dev/guard: sealed`.
    #[serde(default)]
    pub tenant_guard: TenantGuard,
}

/// What the tenant guard refuses in a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TenantGuard {
    /// Nothing: it is off, or not whole.
    #[default]
    None,
    /// Changes of pods, children, claims and status.
    Objects,
    /// Those, and what leads into pods past the network.
    ObjectsAndConnections,
}

/// A NetworkPolicy as it was evaluated.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRef {
    /// The NetworkPolicy's name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The NetworkPolicy's UID.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The generation of the NetworkPolicy that was evaluated.
    pub generation: i64,
}
