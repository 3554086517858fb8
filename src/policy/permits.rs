//! May this one connection be made?

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::model::NAMESPACE_NAME;
use super::{
    Direction, Labels, Peer, Peers, Pod, Policy, PortMatch, Ports, Protocol, Rule, Selector,
};

/// Whom a connection goes to (egress) or comes from (ingress).
#[derive(Clone, Copy, Debug)]
pub enum Remote<'a> {
    /// A pod, at one of its addresses if it is known which.
    Pod(&'a Pod, Option<IpAddr>),
    /// An address. When a pod has it, it means that pod.
    Ip(IpAddr),
}

/// Whether an `ipBlock` applies to pods of the cluster.
///
/// The API says that blocks are meant for addresses outside and leaves open what they do to pods: Cilium
/// never applies them to pods, most others look at the packet's address only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockScope {
    /// Blocks match the address, whoever has it.
    #[default]
    Everyone,
    /// Blocks match only addresses that no pod has.
    Outside,
}

/// Everything that decides about a connection.
#[derive(Clone, Debug)]
pub struct World<'a> {
    /// All policies of the cluster.
    pub policies: &'a [Policy],
    /// The labels of all namespaces, by name.
    pub namespaces: &'a BTreeMap<String, Labels>,
    /// All pods.
    pub pods: &'a [Pod],
    /// What blocks apply to.
    pub blocks: BlockScope,
}

/// Whether the policies let `pod` talk with `peer` in this direction, blocks applying to everyone.
///
/// Only the selected pod's own side is looked at: a connection between two pods needs the egress of one and
/// the ingress of the other ([`World::connects`]). `port` is the receiver's. A pod that no policy isolates
/// may do everything, and a pod always reaches itself.
#[must_use]
#[expect(
    clippy::too_many_arguments,
    reason = "a connection has this many sides; World groups the first three"
)]
pub fn permits(
    policies: &[Policy],
    namespaces: &BTreeMap<String, Labels>,
    pods: &[Pod],
    direction: Direction,
    pod: &Pod,
    peer: Remote<'_>,
    port: u16,
    protocol: Protocol,
) -> bool {
    let blocks = BlockScope::Everyone;
    World {
        policies,
        namespaces,
        pods,
        blocks,
    }
    .permits(direction, pod, peer, port, protocol)
}

impl World<'_> {
    /// See [`permits`].
    #[must_use]
    pub fn permits(
        &self,
        direction: Direction,
        pod: &Pod,
        peer: Remote<'_>,
        port: u16,
        protocol: Protocol,
    ) -> bool {
        let (peer_pod, address) = self.resolve(peer);
        if peer_pod.is_some_and(|other| other.namespace == pod.namespace && other.name == pod.name)
        {
            return true;
        }
        let mut isolated = false;
        for policy in self.policies {
            if !policy.selects(&pod.namespace, &pod.labels) {
                continue;
            }
            let Some(rules) = policy.rules(direction) else {
                continue;
            };
            isolated = true;
            let receiver = match direction {
                Direction::Ingress => Some(pod),
                Direction::Egress => peer_pod,
            };
            if rules.iter().any(|rule| {
                self.peers_match(rule, peer_pod, address)
                    && ports_match(&rule.ports, receiver, port, protocol)
            }) {
                return true;
            }
        }
        !isolated
    }

    /// Whether both ends let the connection be made.
    #[must_use]
    pub fn connects(
        &self,
        from: &Pod,
        to: &Pod,
        at: IpAddr,
        port: u16,
        protocol: Protocol,
    ) -> bool {
        let source = from
            .addresses
            .iter()
            .copied()
            .find(|address| address.is_ipv4() == at.is_ipv4());
        self.permits(
            Direction::Egress,
            from,
            Remote::Pod(to, Some(at)),
            port,
            protocol,
        ) && self.permits(
            Direction::Ingress,
            to,
            Remote::Pod(from, source),
            port,
            protocol,
        )
    }

    fn resolve<'p>(&'p self, peer: Remote<'p>) -> (Option<&'p Pod>, Option<IpAddr>) {
        match peer {
            Remote::Pod(pod, address) => (Some(pod), address),
            Remote::Ip(address) => {
                let owner = self
                    .pods
                    .iter()
                    .find(|pod| pod.addresses.contains(&address));
                (owner, Some(address))
            }
        }
    }

    fn peers_match(&self, rule: &Rule, pod: Option<&Pod>, address: Option<IpAddr>) -> bool {
        let Peers::Some(peers) = &rule.peers else {
            return true;
        };
        peers.iter().any(|peer| match peer {
            Peer::Unreadable => false,
            Peer::Block(block) => match (pod, address) {
                (Some(_), _) if self.blocks == BlockScope::Outside => false,
                (_, Some(address)) => block.contains(address),
                (Some(pod), None) => pod.addresses.iter().any(|one| block.contains(*one)),
                (None, None) => false,
            },
            Peer::Pods { namespaces, pods } => pod.is_some_and(|pod| {
                pods.matches(&pod.labels) && self.namespace_matches(namespaces, &pod.namespace)
            }),
        })
    }

    /// The API gives every namespace a label with its name, also to one whose labels are not known here.
    fn namespace_matches(&self, selector: &Selector, namespace: &str) -> bool {
        let mut labels = self.namespaces.get(namespace).cloned().unwrap_or_default();
        labels.insert(NAMESPACE_NAME.to_owned(), namespace.to_owned());
        selector.matches(&labels)
    }
}

fn ports_match(ports: &Ports, receiver: Option<&Pod>, port: u16, protocol: Protocol) -> bool {
    let Ports::Some(list) = ports else {
        return true;
    };
    list.iter().any(|(proto, matched)| {
        *proto == protocol
            && match matched {
                PortMatch::All => true,
                PortMatch::Unreadable => false,
                PortMatch::Range(first, last) => (*first..=*last).contains(&port),
                PortMatch::Named(name) => receiver.is_some_and(|pod| {
                    pod.ports.iter().any(|named| {
                        named.name == *name && named.protocol == protocol && named.port == port
                    })
                }),
            }
    })
}
