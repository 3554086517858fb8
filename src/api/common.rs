//! Parts that several kinds share.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeAffinity, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A Secret in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// A ConfigMap in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapRef {
    /// The ConfigMap's name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// How an artifact gets to the pods that serve it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message(
    "delivery cannot change, because the claim that holds the model cannot: delete the object and write it anew with the other delivery"
))]
pub struct Delivery {
    /// The way. `PersistentVolumeClaim`: a Job pulls the artifact once into a volume that the pods mount
    /// read-only.
    #[serde(default, rename = "type")]
    pub delivery_type: DeliveryType,
    /// Settings of `type: PersistentVolumeClaim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<PersistentVolumeClaimDelivery>,
}

impl Delivery {
    /// The claim's settings, defaults where none are written.
    #[must_use]
    pub fn claim(&self) -> PersistentVolumeClaimDelivery {
        self.persistent_volume_claim.clone().unwrap_or_default()
    }
}

/// The ways of [`Delivery`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeliveryType {
    /// A claim that a Job fills.
    #[default]
    PersistentVolumeClaim,
}

/// The claim that holds an artifact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersistentVolumeClaimDelivery {
    /// The StorageClass. Without one the platform's choice is used, else the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// `ReadWriteOnce` (default): all pods of the artifact run on one node. `ReadWriteMany`: on any node.
    /// `ReadWriteOncePod`: one pod, so `rollout.type: Recreate` and one replica.
    #[serde(default)]
    pub access_mode: AccessMode,
    /// The claim's size. Without one it is what the artifact needs, which is known before the claim is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub size: Option<Quantity>,
}

/// Access modes of a claim (core/v1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// Pods of one node.
    #[default]
    ReadWriteOnce,
    /// Pods of any node.
    ReadWriteMany,
    /// One pod.
    ReadWriteOncePod,
}

impl AccessMode {
    /// As core/v1 writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteMany => "ReadWriteMany",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
        }
    }
}

/// Where pods may run. The Job that pulls the artifact runs by the same rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = schema::bounded)]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), transform = schema::bounded)]
    pub tolerations: Vec<Toleration>,
    /// Which nodes are required or preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = schema::bounded)]
    pub node_affinity: Option<NodeAffinity>,
}
