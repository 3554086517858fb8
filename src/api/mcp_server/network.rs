//! Ways out that a server declares.

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::schema;

/// A way out: any of the peers, at any of the ports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Egress {
    /// Peers as a NetworkPolicy names them, 1 to 16. podSelector alone: pods of this namespace. namespaceSelector, or both:
    /// pods of other namespaces. ipBlock: addresses, such as `cidr: 192.0.2.40/32`.
    #[schemars(length(min = 1, max = 16), transform = schema::peers)]
    pub to: Vec<NetworkPolicyPeer>,
    /// Their ports, 1 to 16.
    #[schemars(length(min = 1, max = 16))]
    pub ports: Vec<EgressPort>,
}

/// A port, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("type(self.port) != int || (self.port >= 1 && self.port <= 65535)").message(
    "port: write a number from 1 to 65535, or the name of a container's port"
))]
#[x_kube(validation = Rule::new("!has(self.endPort) || (type(self.port) == int && self.endPort >= self.port)").message(
    "endPort is the last of a range that begins at the number in port"
))]
#[x_kube(validation = Rule::new("type(self.port) == int ? !(self.port <= 53 && (has(self.endPort) ? self.endPort >= 53 : self.port == 53)) : !(self.port in ['dns', 'dns-tcp', 'domain'])").message(
    "DNS leads out of the cluster, so a sealed pod has none: write addresses in to, and names for them in hostAliases"
))]
pub struct EgressPort {
    /// The number, or the name of a container's port.
    #[schemars(schema_with = "schema::port")]
    pub port: IntOrString,
    /// The last port of a range that begins at the number in port, at most 65535.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub end_port: Option<i32>,
    /// `TCP` (default) or `UDP`.
    #[serde(default)]
    pub protocol: EgressProtocol,
}

impl EgressPort {
    /// As a NetworkPolicy writes it.
    #[must_use]
    pub fn to_policy(&self) -> NetworkPolicyPort {
        NetworkPolicyPort {
            port: Some(self.port.clone()),
            end_port: self.end_port,
            protocol: Some(self.protocol.as_str().to_owned()),
        }
    }
}

/// The transports of a NetworkPolicy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum EgressProtocol {
    /// Streams.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

impl EgressProtocol {
    /// As a NetworkPolicy writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}
