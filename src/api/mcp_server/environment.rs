//! Variables, files and volumes of a server.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{ConfigMapRef, SecretRef, schema};

/// One entry of a Secret or ConfigMap in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRef {
    /// The name of the Secret or ConfigMap.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The entry, such as `token`.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.value), has(self.secretKeyRef), has(self.configMapKeyRef)].filter(x, x).size() == 1").message(
    "write exactly one of value, secretKeyRef and configMapKeyRef"
))]
pub struct EnvVar {
    /// The variable's name, such as `LOG_LEVEL`.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_.-]*$")
    )]
    pub name: String,
    /// The variable's value, taken as it is: `$(NAME)` is not replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// An entry of a Secret. The pods do not start before it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// An entry of a ConfigMap. The pods do not start before it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

/// A directory with the entries of a Secret or a ConfigMap as files, read-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretRef) != has(self.configMapRef)").message(
    "write exactly one of secretRef and configMapRef"
))]
pub struct Files {
    /// Where the directory is in the server's container, such as `/etc/search`. What is at and below `/tmp`, `/proc`,
    /// `/sys`, `/dev` and the pod's own `sealroom` directories is taken.
    #[schemars(length(min = 2, max = 253), regex(pattern = r"^(/[A-Za-z0-9._-]+)+$"))]
    #[x_kube(validation = Rule::new("!self.matches('^/(tmp|opt/sealroom|run/sealroom|etc/sealroom|proc|sys|dev)(/|$)')").message(
        "this path is taken by the pod itself: write another one"
    ))]
    #[x_kube(validation = Rule::new("!self.matches('/[.][.]?(/|$)')").message(
        "a part of this path is . or ..: write the path that it means"
    ))]
    pub mount_path: String,
    /// The Secret. The pods do not start before it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// The ConfigMap. The pods do not start before it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapRef>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.scratch) != has(self.persistentVolumeClaim)").message(
    "write exactly one of scratch and persistentVolumeClaim"
))]
pub struct ServerVolume {
    /// Where it is mounted in the server's container, such as `/var/lib/search`. What is at and below `/tmp`, `/proc`,
    /// `/sys`, `/dev` and the pod's own `sealroom` directories is taken.
    #[schemars(length(min = 2, max = 253), regex(pattern = r"^(/[A-Za-z0-9._-]+)+$"))]
    #[x_kube(validation = Rule::new("!self.matches('^/(tmp|opt/sealroom|run/sealroom|etc/sealroom|proc|sys|dev)(/|$)')").message(
        "this path is taken by the pod itself: write another one"
    ))]
    #[x_kube(validation = Rule::new("!self.matches('/[.][.]?(/|$)')").message(
        "a part of this path is . or ..: write the path that it means"
    ))]
    pub mount_path: String,
    /// An empty directory that goes with the pod. `/tmp` is one already, of 256Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Scratch>,
    /// A claim that is there already; the operator makes and deletes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<VolumeClaim>,
}

/// An empty directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scratch {
    /// The most that it may hold, such as `1Gi`: a pod that writes more is evicted.
    #[schemars(schema_with = "schema::quantity")]
    pub size: Quantity,
}

/// A claim in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeClaim {
    /// The claim's name. Claims with the names that the operator gives to those of models, which end with twelve
    /// hexadecimal digits, are not for servers: what is written to a model after it was verified would be served.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    #[x_kube(validation = Rule::new("!self.matches('-[a-f0-9]{12}$')").message(
        "a name that ends with twelve hexadecimal digits is that of a model's claim: name a claim of your own"
    ))]
    pub claim_name: String,
    /// Whether the server may only read it. `false` by default.
    #[serde(default)]
    pub read_only: bool,
}
