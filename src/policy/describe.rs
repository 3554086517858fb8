//! Rules in words, for messages that somebody must act on.

use super::{Direction, Peer, Peers, PortMatch, Ports, Protocol, Rule, Selector};

/// `lets this pod send to every address, port 53/UDP`.
pub(super) fn rule(direction: Direction, rule: &Rule) -> String {
    let verb = match direction {
        Direction::Egress => "lets this pod send to",
        Direction::Ingress => "lets this pod receive from",
    };
    let peers = match &rule.peers {
        Peers::Any => "every address".to_owned(),
        Peers::Some(list) => join(list.iter().map(peer)),
    };
    let ports = match &rule.ports {
        Ports::Any => "all ports".to_owned(),
        Ports::Some(list) => join(
            list.iter()
                .map(|(protocol, matched)| port(*protocol, matched)),
        ),
    };
    format!("{verb} {peers}, {ports}")
}

/// The first few, and how many more there are: an object may have any number.
fn join(items: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 4;
    let more = items.len().saturating_sub(SHOWN);
    let shown: Vec<String> = items.take(SHOWN).collect();
    let shown = shown.join(" or ");
    if more == 0 {
        shown
    } else {
        format!("{shown} or {more} more")
    }
}

fn peer(peer: &Peer) -> String {
    match peer {
        Peer::Block(block) => block.to_string(),
        Peer::Pods { namespaces, pods } => {
            let pods = if pods.is_empty() {
                "all pods".to_owned()
            } else {
                format!("pods {pods}")
            };
            let namespaces = if namespaces.is_empty() {
                "all namespaces".to_owned()
            } else {
                format!("namespaces {namespaces}")
            };
            format!("{pods} of {namespaces}")
        }
        Peer::Unreadable => "a peer that sealroom cannot evaluate".to_owned(),
    }
}

fn port(protocol: Protocol, matched: &PortMatch) -> String {
    let protocol = protocol.as_str();
    match matched {
        PortMatch::All => format!("all {protocol} ports"),
        PortMatch::Range(first, last) if first == last => format!("port {first}/{protocol}"),
        PortMatch::Range(first, last) => format!("ports {first}-{last}/{protocol}"),
        PortMatch::Named(name) => format!("the port named {name}/{protocol}"),
        PortMatch::Unreadable => "a port that sealroom cannot evaluate".to_owned(),
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]", self.terms().join(", "))
    }
}
