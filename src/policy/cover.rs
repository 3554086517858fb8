//! Whether one rule allows nothing that others do not allow already.
//!
//! The answer errs to one side only: a rule that is said to be covered is covered for every pod, namespace
//! and address that may ever exist; a rule that only happens to add nothing today counts as adding.

use super::{Peer, Peers, PortMatch, Ports, Protocol, Rule};

/// One peer on one port. A rule allows what its atoms allow; `None` stands for every peer or every port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atom<'a> {
    peer: Option<&'a Peer>,
    port: Option<&'a (Protocol, PortMatch)>,
}

/// The atoms of a rule that can match something.
pub(super) fn atoms(rule: &Rule) -> impl Iterator<Item = Atom<'_>> {
    let peers: Vec<Option<&Peer>> = match &rule.peers {
        Peers::Any => vec![None],
        Peers::Some(list) => list
            .iter()
            .filter(|peer| !peer.matches_nothing())
            .map(Some)
            .collect(),
    };
    let ports: Vec<Option<&(Protocol, PortMatch)>> = match &rule.ports {
        Ports::Any => vec![None],
        Ports::Some(list) => list.iter().map(Some).collect(),
    };
    peers.into_iter().flat_map(move |peer| {
        ports
            .clone()
            .into_iter()
            .map(move |port| Atom { peer, port })
    })
}

impl<'a> Atom<'a> {
    /// Whether this atom lies within one of `declared`.
    pub(super) fn within_any(self, declared: &[Atom<'_>]) -> bool {
        declared
            .iter()
            .any(|other| peer_within(self.peer, other.peer) && port_within(self.port, other.port))
    }

    /// The same atom as a rule of its own.
    pub(super) fn to_rule(self) -> Rule {
        Rule {
            peers: self
                .peer
                .map_or(Peers::Any, |peer| Peers::Some(vec![peer.clone()])),
            ports: self
                .port
                .map_or(Ports::Any, |port| Ports::Some(vec![port.clone()])),
        }
    }
}

fn peer_within(one: Option<&Peer>, other: Option<&Peer>) -> bool {
    match (one, other) {
        (_, None) => true,
        (Some(Peer::Block(one)), Some(Peer::Block(other))) => one.within(other),
        (
            Some(Peer::Pods { namespaces, pods }),
            Some(Peer::Pods {
                namespaces: other_namespaces,
                pods: other_pods,
            }),
        ) => namespaces.within(other_namespaces) && pods.within(other_pods),
        _ => false,
    }
}

fn port_within(one: Option<&(Protocol, PortMatch)>, other: Option<&(Protocol, PortMatch)>) -> bool {
    let Some((protocol, matched)) = other else {
        return true;
    };
    let Some((one_protocol, one)) = one else {
        return false;
    };
    one_protocol == protocol
        && match (one, matched) {
            (PortMatch::Unreadable, _) => false,
            (_, PortMatch::All) => true,
            (PortMatch::Range(first, last), PortMatch::Range(low, high)) => {
                low <= first && last <= high
            }
            (PortMatch::Named(one), PortMatch::Named(other)) => one == other,
            _ => false,
        }
}
