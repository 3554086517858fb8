//! The shapes that the evaluator works on.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Block, Selector};

/// Labels of a pod or a namespace.
pub type Labels = BTreeMap<String, String>;

/// The label that every namespace carries with its own name.
pub(super) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// A direction as seen from the selected pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Connections that others open to the pod.
    Ingress,
    /// Connections that the pod opens.
    Egress,
}

/// A transport that policies know; every other one has no rule that could name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// The default where a rule names a port and no protocol.
    Tcp,
    /// Datagrams.
    Udp,
    /// Streams of messages.
    Sctp,
}

impl Protocol {
    /// The name in the API; an absent one is TCP.
    #[must_use]
    pub fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// A container port with a name, which rules can use instead of its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPort {
    /// The name.
    pub name: String,
    /// The transport.
    pub protocol: Protocol,
    /// The number.
    pub port: u16,
}

/// A pod as policies see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its addresses, at most one per family.
    pub addresses: Vec<IpAddr>,
    /// The named ports of its containers.
    pub ports: Vec<NamedPort>,
}

/// A policy's name and the version of it that was evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID, empty for one that was only declared.
    pub uid: String,
    /// Its generation, 0 for one that was only declared.
    pub generation: i64,
}

/// One rule: any of the peers, on any of the ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom.
    pub peers: Peers,
    /// Where.
    pub ports: Ports,
}

/// The peers of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// An empty or absent list: everybody, inside the cluster or not.
    Any,
    /// At least one peer.
    Some(Vec<Peer>),
}

/// One peer of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Addresses.
    Block(Block),
    /// Pods whose namespace and labels both match. A peer without a namespace selector means the policy's
    /// own namespace and is stored as a selector of its name.
    Pods {
        /// Which namespaces.
        namespaces: Selector,
        /// Which pods in them.
        pods: Selector,
    },
    /// Something that could not be read. It permits nothing, and counts as a widening.
    Unreadable,
}

/// The ports of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// An empty or absent list: all ports of all protocols.
    Any,
    /// At least one.
    Some(Vec<(Protocol, PortMatch)>),
}

/// Which ports of one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortMatch {
    /// All of them.
    All,
    /// From the first to the last, both included; a single port is a range of one.
    Range(u16, u16),
    /// The port that the receiving pod calls so.
    Named(String),
    /// Something that could not be read. It permits nothing, and counts as a widening.
    Unreadable,
}

impl Peer {
    /// Whether no peer can ever match.
    pub(super) fn matches_nothing(&self) -> bool {
        match self {
            Self::Block(block) => block.matches_nothing(),
            Self::Pods { namespaces, pods } => {
                namespaces.matches_nothing() || pods.matches_nothing()
            }
            Self::Unreadable => false,
        }
    }
}
