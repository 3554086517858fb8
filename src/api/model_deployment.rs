//! `ModelDeployment`: a model that answers from sealed pods.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Delivery, Scheduling, SecretRef, schema};

mod jwt;
mod limits;
mod llama_cpp;
mod models;
mod ollama;
mod parts;
mod runtime;
mod status;

pub use jwt::{Jwks, Jwt};
pub use limits::{Limits, PerCaller};
pub use llama_cpp::LlamaCpp;
pub use models::NamedModel;
pub use ollama::Ollama;
pub use parts::{Adapter, Projector};
pub use runtime::{Engine, FlashAttention, KvCacheType, Mode, Pooling, Printed, Runtime};
pub use status::{
    AdapterStatus, ArtifactPhase, ArtifactStatus, ModelDeploymentStatus, ModelStatus, PolicyRef,
    SealStatus, TenantGuard,
};

/// A model, the engine that serves it, and who may talk to it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sealroom.dev",
    version = "v1alpha1",
    kind = "ModelDeployment",
    plural = "modeldeployments",
    namespaced,
    status = "ModelDeploymentStatus",
    derive = "PartialEq",
    shortname = "md",
    category = "sealroom",
    doc = "A language model, selected by digest, that answers the OpenAI API from sealed pods. It begins to serve when no tested target can be reached and no NetworkPolicy permits more than is declared, and shuts when a way out is seen.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Model", type_ = "string", json_path = ".status.servedModelName", description = "the name that requests carry"),
    printcolumn(name = "Engine", type_ = "string", json_path = ".spec.runtime.engine"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Sealed", type_ = "string", json_path = r#".status.conditions[?(@.type=="Sealed")].reason"#, description = "why the pods count as sealed, or why not"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Digest", type_ = "string", json_path = ".status.artifact.digest", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    printcolumn(name = "Memory", type_ = "string", json_path = ".status.memory.total", priority = 1),
    printcolumn(name = "Progress", type_ = "string", json_path = r#".status.conditions[?(@.type=="ArtifactReady")].reason"#, priority = 1),
    printcolumn(name = "Output", type_ = "string", json_path = ".spec.runtime.output", description = "what becomes of what the engine prints once it serves; Log may hold prompts", priority = 1),
    printcolumn(name = "Callers", type_ = "string", json_path = ".status.callers", description = "who may send requests", priority = 1),
    validation = Rule::new("size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "metadata.name names the Service too, and longer names are made from it: write at most 40 of a-z, 0-9 and -, beginning with a letter"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.artifact) != has(self.models)").message(
    "write exactly one of artifact (one model) and models (several, for engine Ollama)"
))]
#[x_kube(validation = Rule::new("self.runtime.engine != 'LlamaCpp' || !has(self.models)").message(
    "engine LlamaCpp serves one model: write artifact instead of models"
))]
#[x_kube(validation = Rule::new("!has(self.models) || self.models.all(m, self.models.exists_one(n, n.name == m.name))").message(
    "models: requests choose by the name, so give each model another one"
))]
#[x_kube(validation = Rule::new("!has(self.models) || !has(self.servedModelName)").message(
    "servedModelName names the one model of artifact: with models write the name of each in its entry, and leave servedModelName out"
))]
#[x_kube(validation = Rule::new(
    "!has(self.models) || !has(self.runtime.ollama) || (self.runtime.ollama.mode == 'Completion' && !has(self.runtime.ollama.template) && !has(self.runtime.ollama.stop))"
).message(
    "with models, mode, template and stop are each model's own: write them in its entry of models, and leave them out of runtime.ollama"
))]
#[x_kube(validation = Rule::new(
    "!has(self.runtime.ollama) || !has(self.runtime.ollama.maxLoadedModels) || (has(self.models) && self.runtime.ollama.maxLoadedModels <= size(self.models))"
).message(
    "runtime.ollama.maxLoadedModels says how many of models are loaded at once: write at most as many as there are, or leave it out"
))]
#[x_kube(validation = Rule::new(
    "!has(self.models) || !has(self.delivery.persistentVolumeClaim) || self.delivery.persistentVolumeClaim.accessMode != 'ReadWriteOncePod'"
).message(
    "with models a pod that pulls one has the claims of the others too: write delivery.persistentVolumeClaim.accessMode: ReadWriteOnce or ReadWriteMany"
))]
#[x_kube(validation = Rule::new(
    "!has(self.runtime.llamaCpp) || (!has(self.runtime.llamaCpp.adapters) && !has(self.runtime.llamaCpp.projector)) || !has(self.delivery.persistentVolumeClaim) || self.delivery.persistentVolumeClaim.accessMode != 'ReadWriteOncePod'"
).message(
    "with adapters or a projector a pod that pulls one file has the claims of the others too: write delivery.persistentVolumeClaim.accessMode: ReadWriteOnce or ReadWriteMany"
))]
#[x_kube(validation = Rule::new(
    "!has(self.delivery.persistentVolumeClaim) || self.delivery.persistentVolumeClaim.accessMode != 'ReadWriteOncePod' || (self.rollout.type == 'Recreate' && self.replicas <= 1)"
).message(
    "a ReadWriteOncePod claim has room for one pod: write rollout.type: Recreate and replicas: 1, or accessMode: ReadWriteOnce"
))]
#[x_kube(validation = Rule::new("!has(self.limits.perCaller) || has(self.access.apiKeys) || has(self.access.jwt)").message(
    "limits.perCaller is for each API key and person: write access.apiKeys or access.jwt, or nobody can be told from another"
))]
pub struct ModelDeploymentSpec {
    /// The one model that is served, as an artifact in a registry. Write exactly one of artifact and models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactSource>,
    /// 2 to 8 models in one engine that can hold them (`engine: Ollama`), of which requests choose by name. Each lies in
    /// a volume of its own, and all on one node where a volume is for one node. Write exactly one of artifact and models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 8))]
    pub models: Option<Vec<NamedModel>>,
    /// The engine that runs the model, and its settings.
    pub runtime: Runtime,
    /// The name that requests must carry as `model`: 1 to 128 letters, digits and `.`, `_`, `:`, `/` and `-`, beginning
    /// with a letter or a digit. metadata.name by default. Not with models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")
    )]
    pub served_model_name: Option<String>,
    /// How many pods serve: 0 to 100, 1 by default. With 0 nothing serves, and the model stays in its volume.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: i32,
    /// Resources of the runtime's container. Memory that is not written is computed from the model's header, and
    /// status.memory says how much it is.
    #[serde(default)]
    pub resources: Resources,
    /// Who may send requests. Nobody by default.
    #[serde(default)]
    pub access: Access,
    /// How much each pod takes on at once, and how much waits.
    #[serde(default)]
    pub limits: Limits,
    /// How the artifact gets to the pods. It cannot change: delete the object and write it anew with another one.
    #[serde(default)]
    pub delivery: Delivery,
    /// How new pods replace old ones.
    #[serde(default)]
    pub rollout: Rollout,
    /// What the seal demands.
    #[serde(default)]
    pub seal: Seal,
    /// Which nodes may run the pods. Any by default.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// How many seconds a stopping pod may take to finish its running requests: 1 to 3600, 120 by default. One
    /// that the operator deletes because it is open has ten at most.
    #[serde(default = "drain_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub drain_seconds: i64,
}

/// An artifact in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactSource {
    /// The artifact by digest: `host[:port]/repository@sha256:<64 hex digits>`, such as
    /// `registry.internal:5000/models/smollm2@sha256:…`. The host is one of the registries that the platform declares.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.contains('@sha256:')").message(
        "select the model by digest, not by tag, because a tag can come to mean something else: write host/repository@sha256:<digest>; `oras resolve` or `crane digest` prints the digest of a tag"
    ))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9][a-z0-9.-]*(:[0-9]+)?/[a-z0-9._/-]+@') || !self.contains('@sha256:')").message(
        "write host[:port]/repository@sha256:<digest>: the host first, the repository in lower case, and no tag beside the digest"
    ))]
    #[x_kube(validation = Rule::new("self.matches('@sha256:[0-9a-f]{64}$') || !self.contains('@sha256:')").message(
        "write the whole digest: sha256: and 64 lower-case hex digits"
    ))]
    pub image: String,
    /// Secrets of type `kubernetes.io/dockerconfigjson` in this namespace with the registry's credentials, at most 8.
    /// A Secret that comes later is found by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub pull_secrets: Vec<SecretRef>,
}

/// Requests and limits of a container (core/v1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// What is reserved for the container, such as `cpu: 500m` and `memory: 2Gi`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub requests: BTreeMap<String, Quantity>,
    /// The most that the container may use, such as `cpu: "4"` and `memory: 4Gi`. Devices, such as `nvidia.com/gpu: 1`,
    /// are written here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub limits: BTreeMap<String, Quantity>,
}

/// Who may send requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Peers as a NetworkPolicy names them, at most 16. podSelector alone: pods of this namespace. namespaceSelector, or
    /// both: pods of other namespaces. ipBlock: addresses. Nobody by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), transform = schema::peers)]
    pub from: Vec<NetworkPolicyPeer>,
    /// Keys that requests must carry as `Authorization: Bearer`. Without it no key is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<ApiKeys>,
    /// Serves the API over TLS, and status.url begins with `https`. Without it the API is served in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Tokens of an OpenID provider that requests must carry as `Authorization: Bearer`. Beside apiKeys either is
    /// accepted. Without it no token is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
}

/// Where the certificate is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// A Secret of type `kubernetes.io/tls`: `tls.crt` holds the certificate for
    /// `<name>.<namespace>.svc` and the chain up to the CA that clients trust, `tls.key` its private key, both in
    /// PEM. A new certificate is taken within two minutes without a restart; one that cannot be used leaves the
    /// old one serving. While the Secret is missing every connection is closed.
    pub secret_ref: SecretRef,
}

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeys {
    /// A Secret of which every entry's value is a key and its name the key's name in the audit. An entry
    /// `<name>.expires` with an RFC 3339 time says until when that key holds. While the Secret is missing every
    /// request is refused.
    pub secret_ref: SecretRef,
}

/// How new pods replace old ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// `RollingUpdate` (default): the old pods serve until the new ones are proven. `Recreate`: the old ones
    /// end first, where there is no spare accelerator.
    #[serde(default, rename = "type")]
    pub rollout_type: RolloutType,
}

/// The ways of [`Rollout`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RolloutType {
    /// New before old.
    #[default]
    RollingUpdate,
    /// Old before new.
    Recreate,
}

/// What the seal demands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Seal {
    /// `Enforced` (default): the pods begin to serve when they are proven closed, and shut when a way out is seen.
    /// `Unsealed`: they serve without proof, only in namespaces that the platform lists.
    #[serde(default)]
    pub mode: SealMode,
    /// What happens when proofs stop coming although nothing was found open. `Serve` (default): the pods go on, and the
    /// condition Sealed becomes Unknown. `Refuse`: they stop after the grace time, which the platform sets (usually 30
    /// seconds).
    #[serde(default)]
    pub when_stale: WhenStale,
    /// Whether the pod's own node must be unreachable too. `Report` (default): it is probed and reported,
    /// because a network plugin may exempt it. `Require`: reaching it opens the seal.
    #[serde(default)]
    pub own_node: OwnNode,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $($(#[$vdoc:meta])* $variant:ident),+;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// As the object and the gate's flags write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    )+ };
}

words! {
    /// Whether the seal is demanded.
    SealMode:
        /// Proof first.
        #[default] Enforced,
        /// No proof.
        Unsealed;
    /// What a stale proof means.
    WhenStale:
        /// Go on, and say so.
        #[default] Serve,
        /// Stop after the grace time.
        Refuse;
    /// What the own node is.
    OwnNode:
        /// A tripwire that is reported.
        #[default] Report,
        /// A tripwire that convicts.
        Require;
}

fn one() -> i32 {
    1
}

fn drain_seconds() -> i64 {
    120
}
