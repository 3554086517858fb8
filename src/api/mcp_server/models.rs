//! The models that an MCP server may ask.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KeyRef;

/// One model. The gate of the pod offers it at a port of 127.0.0.1, and adds the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.modelDeploymentRef) != has(self.service)").message(
    "write exactly one of modelDeploymentRef and service"
))]
#[x_kube(validation = Rule::new("!has(self.service) || has(self.service.model) || !has(self.env) || !self.env.exists(e, e.value == 'Model')").message(
    "the name of the model behind a Service is not known here: write service.model, or leave value: Model out"
))]
pub struct ModelBinding {
    /// A ModelDeployment. One of another namespace must let this server in by its `access.from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_deployment_ref: Option<DeploymentRef>,
    /// Any Service of the cluster that speaks the OpenAI API. Its pods are a declared way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// Which variables tell the server about the model. Without any, the only model is told by `OPENAI_BASE_URL`,
    /// `OPENAI_API_BASE`, `OPENAI_API_KEY` and `LLM_MODEL`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub env: Vec<InjectedVar>,
    /// The entry of a Secret with the key that the model asks for. Only the gate mounts it; the server gets a
    /// placeholder. A changed key is taken within two minutes without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_secret_ref: Option<KeyRef>,
    /// The entry of a ConfigMap with the certificates of the CA, in PEM, that a ModelDeployment with `access.tls` is
    /// checked against. Only the gate mounts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<KeyRef>,
}

impl ModelBinding {
    /// The variables that tell about the model: those that are written, else the usual ones.
    #[must_use]
    pub fn environment(&self) -> Vec<InjectedVar> {
        if self.env.is_empty() {
            default_environment()
        } else {
            self.env.clone()
        }
    }
}

/// The variables that the official OpenAI packages and most servers read.
#[must_use]
pub fn default_environment() -> Vec<InjectedVar> {
    [
        ("OPENAI_BASE_URL", InjectedValue::BaseUrl),
        ("OPENAI_API_BASE", InjectedValue::BaseUrl),
        ("OPENAI_API_KEY", InjectedValue::ApiKey),
        ("LLM_MODEL", InjectedValue::Model),
    ]
    .map(|(name, value)| InjectedVar {
        name: name.to_owned(),
        value,
    })
    .into()
}

/// A ModelDeployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentRef {
    /// The ModelDeployment's name.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The ModelDeployment's namespace. The server's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub namespace: Option<String>,
    /// One of the names that it serves, for the variable with `value: Model`. Without one it is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")
    )]
    pub model: Option<String>,
}

/// A Service that speaks the OpenAI API in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceRef {
    /// The Service's name.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The Service's namespace. The server's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub namespace: Option<String>,
    /// The Service's port.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u16,
    /// The base path of the API there. `/v1` by default.
    #[serde(default = "path")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^(/[-A-Za-z0-9._~]+)+$"))]
    pub path: String,
    /// The name that requests carry as `model`, for the variable with `value: Model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")
    )]
    pub model: Option<String>,
}

fn path() -> String {
    "/v1".to_owned()
}

/// A variable that tells the server about a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InjectedVar {
    /// The variable's name.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$")
    )]
    pub name: String,
    /// What it holds. `BaseURL`: `http://127.0.0.1:<port>/v1`. `APIKey`: a placeholder, since the gate adds the key.
    /// `Model`: the name that requests carry.
    pub value: InjectedValue,
}

/// What a variable can tell about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InjectedValue {
    /// Where to ask.
    #[serde(rename = "BaseURL")]
    BaseUrl,
    /// A placeholder for programs that refuse to go without a key.
    #[serde(rename = "APIKey")]
    ApiKey,
    /// What requests carry as `model`.
    Model,
}
