//! The status of a [`super::McpServer`].

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::model_deployment::SealStatus;
use crate::api::schema;

/// What is known. It changes when something does, never by the passing of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpServerStatus {
    /// Conditions: Ready, Reconciling, Stalled, ModelsBound, ToolsPinned, Sealed, Available.
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
    /// Where clients speak MCP, inside the cluster, such as `http://search.team-a.svc:8080/mcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub url: Option<String>,
    /// Who may call, in words: `nobody: access.from is empty`, `by NetworkPolicy only`, or beside the NetworkPolicy what
    /// the gate asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub callers: Option<String>,
    /// What the server says it is. It is the server's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_info: Option<ServerInfoStatus>,
    /// The tools that the server lists, before `tools.policy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolsStatus>,
    /// The models, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub models: Vec<BoundModel>,
    /// What the seal consists of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealStatus>,
}

/// What a server says it is, shortened and without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfoStatus {
    /// The server's name.
    #[schemars(length(max = 128))]
    pub name: String,
    /// The server's version.
    #[schemars(length(max = 128))]
    pub version: String,
    /// The version of the protocol that the server speaks, such as `2025-11-25`.
    #[schemars(length(max = 128))]
    pub protocol_version: String,
}

/// The list of tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolsStatus {
    /// How many tools there are.
    pub count: u32,
    /// The hash of their names, descriptions, schemas and annotations: what `tools.pin` would be.
    #[schemars(length(max = 71))]
    pub hash: String,
}

/// One model of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BoundModel {
    /// Which it is: `ModelDeployment <namespace>/<name>` or `Service <namespace>/<name>`.
    #[schemars(length(max = 160))]
    pub target: String,
    /// Where the server asks it, inside its pod.
    #[schemars(length(max = 64))]
    pub base_url: String,
    /// What the server is to write as `model`, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub model: Option<String>,
    /// `Bound`, or why it cannot be asked.
    #[schemars(length(max = 64))]
    pub state: String,
}
