//! `McpServer`: a server of the Model Context Protocol that runs in sealed pods beside the models that it may ask.

use k8s_openapi::api::core::v1::HostAlias;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::model_deployment::{Access, Resources, Rollout, Seal};
use super::{Scheduling, schema};

mod environment;
mod models;
mod network;
mod runs;
mod status;
mod tools;
mod transport;

pub use environment::{EnvVar, Files, KeyRef, Scratch, ServerVolume, VolumeClaim};
pub use models::{
    DeploymentRef, InjectedValue, InjectedVar, ModelBinding, ServiceRef, default_environment,
};
pub use network::{Egress, EgressPort, EgressProtocol};
pub use runs::{CallerBudget, Isolation, IsolationType, ServerLimits};
pub use status::{BoundModel, McpServerStatus, ServerInfoStatus, ToolsStatus};
pub use tools::{Tools, ToolsPolicy};
pub use transport::{Http, Stdio, Transport, TransportType};

/// A server's image, the models that it may ask, and who may call its tools.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sealroom.dev",
    version = "v1alpha1",
    kind = "McpServer",
    plural = "mcpservers",
    namespaced,
    status = "McpServerStatus",
    derive = "PartialEq",
    shortname = "mcps",
    category = "sealroom",
    doc = "A server of the Model Context Protocol (MCP), its image selected by digest, that answers from sealed pods. It reaches the models that it names and the peers that it declares, and nothing else; it begins to serve when that is proven, and shuts when another way out is seen.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Server", type_ = "string", json_path = ".status.serverInfo.name", description = "the name that the server gives itself"),
    printcolumn(name = "Tools", type_ = "integer", json_path = ".status.tools.count"),
    printcolumn(name = "Models", type_ = "string", json_path = r#".status.conditions[?(@.type=="ModelsBound")].reason"#, description = "whether the models can be asked, or why not"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Sealed", type_ = "string", json_path = r#".status.conditions[?(@.type=="Sealed")].reason"#, description = "why the pods count as sealed, or why not"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Pinned", type_ = "string", json_path = r#".status.conditions[?(@.type=="ToolsPinned")].reason"#, priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    printcolumn(name = "Callers", type_ = "string", json_path = ".status.callers", description = "who may call", priority = 1),
    validation = Rule::new("size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "metadata.name names the Service too, and longer names are made from it: write at most 40 of a-z, 0-9 and -, beginning with a letter"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.models) || self.models.all(m, !has(m.env) || m.env.all(e, self.models.map(n, has(n.env) ? n.env.filter(f, f.name == e.name).size() : 0).sum() == 1))"
).message(
    "two models cannot be given in one variable: write another name in models[].env of one of them"
))]
#[x_kube(validation = Rule::new("!has(self.models) || size(self.models) <= 1 || self.models.all(m, has(m.env) && size(m.env) > 0)").message(
    "with several models the usual variables say nothing: write models[].env for each, such as {name: CHAT_BASE_URL, value: BaseURL}"
))]
#[x_kube(validation = Rule::new(
    "!has(self.models) || !has(self.env) || self.models.all(m, !has(m.env) || m.env.all(e, !self.env.exists(f, f.name == e.name)))"
).message("a variable of models[].env is in env too: leave one of them out"))]
#[x_kube(validation = Rule::new("!has(self.limits.perCaller) || has(self.access.apiKeys) || has(self.access.jwt)").message(
    "limits.perCaller is for each API key and person: write access.apiKeys or access.jwt, or nobody can be told from another"
))]
#[x_kube(validation = Rule::new("!has(self.isolation.childMemory) || self.transport.type == 'Stdio'").message(
    "isolation.childMemory is for the processes of a server on stdio: leave it out, resources.limits.memory bounds an HTTP server"
))]
#[x_kube(validation = Rule::new(
    "!has(self.isolation.childMemory) || !has(self.resources.limits) || !('memory' in self.resources.limits) || quantity(string(self.isolation.childMemory)).isLessThan(quantity(string(self.resources.limits['memory'])))"
).message("isolation.childMemory bounds one process of several: write less than resources.limits.memory"))]
pub struct McpServerSpec {
    /// The server's image by digest, `host[:port]/repository@sha256:<64 hex digits>`, with the server and everything that
    /// it needs baked in.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9][a-z0-9.-]*(:[0-9]+)?/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$')").message(
        "select the server's image by digest, not by tag: write host[:port]/repository@sha256:<64 lower-case hex digits>"
    ))]
    pub image: String,
    /// How the server speaks, and how it is started.
    pub transport: Transport,
    /// The models that the server may ask, at most 8, through the gate of its own pod: it needs no DNS for them and holds
    /// no key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub models: Vec<ModelBinding>,
    /// Which tools clients see and may call. All by default.
    #[serde(default)]
    pub tools: Tools,
    /// Further ways out, by peers and ports. None by default. They are listed in status.seal.exits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub egress: Vec<Egress>,
    /// Names for addresses, such as `{ip: 192.0.2.40, hostnames: [db]}`, since a sealed pod has no DNS: they stand in
    /// `/etc/hosts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), transform = schema::host_aliases)]
    pub host_aliases: Vec<HostAlias>,
    /// Who may call the server. Nobody by default.
    #[serde(default)]
    pub access: Access,
    /// Further names by which clients reach the server, such as that of an Ingress. The Service's own names and
    /// addresses are accepted always; a request with another name is refused, so that no web page can lead a browser
    /// here under a name of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(
            length(min = 1, max = 253),
            regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
        )
    )]
    pub hosts: Vec<String>,
    /// Web origins, such as `https://inspector.internal`, whose pages may call the server from a browser. None by
    /// default but those of its own names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(
            length(min = 1, max = 261),
            regex(pattern = r"^https?://[a-z0-9][-a-z0-9.]*(:[0-9]{1,5})?$")
        )
    )]
    pub origins: Vec<String>,
    /// Whether clients share a process of the server. Each session has its own by default.
    #[serde(default)]
    pub isolation: Isolation,
    /// How much each pod takes on at once, and how much each caller may ask.
    #[serde(default)]
    pub limits: ServerLimits,
    /// Variables of the server, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// Files of the server, from Secrets and ConfigMaps of the namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub files: Vec<Files>,
    /// Volumes of the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub volumes: Vec<ServerVolume>,
    /// How many pods serve: 0 to 100, 1 by default.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: i32,
    /// Resources of the server's container. None are reserved by default.
    #[serde(default)]
    pub resources: Resources,
    /// How new pods replace old ones.
    #[serde(default)]
    pub rollout: Rollout,
    /// What the seal demands.
    #[serde(default)]
    pub seal: Seal,
    /// Which nodes may run the pods. Any by default.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// How many seconds a stopping pod may take to finish its running calls: 1 to 3600, 120 by default. One that
    /// the operator deletes because it is open has ten at most.
    #[serde(default = "drain_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub drain_seconds: i64,
}

fn one() -> i32 {
    1
}

fn drain_seconds() -> i64 {
    120
}
