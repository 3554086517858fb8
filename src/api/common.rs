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
    /// The claim's size, such as `20Gi`. Without one it is what the artifact needs, which is known before the claim is
    /// made.
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
    /// Whether all pods that mount the claim run on one node.
    #[must_use]
    pub fn one_node(self) -> bool {
        self != Self::ReadWriteMany
    }

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

/// Where pods may run. The Job that pulls the artifact runs where nodeSelector, tolerations and nodeAffinity say, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a node must have, such as `accelerator: a100`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = schema::bounded)]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate, as a Pod writes them, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), transform = schema::bounded)]
    pub tolerations: Vec<Toleration>,
    /// Which nodes are required or preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = schema::bounded)]
    pub node_affinity: Option<NodeAffinity>,
    /// The RuntimeClass of the serving pods, such as `nvidia`. If the class itself selects nodes, write the same into
    /// nodeSelector, because the pull does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub runtime_class_name: Option<String>,
    /// The PriorityClass of the serving pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub priority_class_name: Option<String>,
    /// How the serving pods are spread, with a claim that pods of any node can mount (ReadWriteMany).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub topology_spread: Vec<TopologySpread>,
}

impl Scheduling {
    /// What of it decides where a volume may be: two objects that differ in the rest share one.
    #[must_use]
    pub fn place(&self) -> Self {
        Self {
            node_selector: self.node_selector.clone(),
            tolerations: self.tolerations.clone(),
            node_affinity: self.node_affinity.clone(),
            ..Self::default()
        }
    }
}

/// A spread over zones, nodes or other places (core/v1, `TopologySpreadConstraint`). It counts the serving pods of the
/// object, those of each generation by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologySpread {
    /// The label of nodes whose values are the places, such as `topology.kubernetes.io/zone`.
    #[schemars(length(min = 1, max = 317))]
    pub topology_key: String,
    /// By how many pods two places may differ: 1 to 100, 1 by default.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub max_skew: i32,
    /// What happens where that cannot be. `ScheduleAnyway` (default): the pod runs all the same. `DoNotSchedule`: it
    /// waits.
    #[serde(default)]
    pub when_unsatisfiable: WhenUnsatisfiable,
}

fn one() -> i32 {
    1
}

/// The words of [`TopologySpread`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenUnsatisfiable {
    /// It runs all the same.
    #[default]
    ScheduleAnyway,
    /// It waits.
    DoNotSchedule,
}

impl WhenUnsatisfiable {
    /// As core/v1 writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScheduleAnyway => "ScheduleAnyway",
            Self::DoNotSchedule => "DoNotSchedule",
        }
    }
}
