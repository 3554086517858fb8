//! NetworkPolicy objects into [`Policy`].

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::model::NAMESPACE_NAME;
use super::{
    Block, Direction, Labels, Peer, Peers, PolicyRef, PortMatch, Ports, Protocol, Rule, Selector,
};

/// A parsed NetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which one it is.
    pub id: PolicyRef,
    /// The pods of its namespace that it selects.
    pub selector: Selector,
    /// Its ingress rules, `None` when it does not isolate ingress.
    pub ingress: Option<Vec<Rule>>,
    /// Its egress rules, `None` when it does not isolate egress.
    pub egress: Option<Vec<Rule>>,
    /// Rules in a direction that its `policyTypes` leave out. The API says that they mean nothing; Cilium
    /// carries them out, so a closure has to count them.
    pub unlisted: Vec<(Direction, Rule)>,
}

impl Policy {
    /// Parses one object. What the API server would have refused parses too, to something that permits
    /// nothing and that [`super::closure`] reports.
    #[must_use]
    pub fn parse(policy: &NetworkPolicy) -> Self {
        let namespace = policy.metadata.namespace.clone().unwrap_or_default();
        let none = NetworkPolicySpec::default();
        let spec = policy.spec.as_ref().unwrap_or(&none);
        let written = |direction| -> Vec<Rule> {
            match direction {
                Direction::Ingress => (spec.ingress.iter().flatten())
                    .map(|rule| parse_rule(&namespace, rule.from.as_deref(), rule.ports.as_deref()))
                    .collect(),
                Direction::Egress => (spec.egress.iter().flatten())
                    .map(|rule| parse_rule(&namespace, rule.to.as_deref(), rule.ports.as_deref()))
                    .collect(),
            }
        };
        let rules = |direction| isolates(spec, direction).then(|| written(direction));
        let unlisted = [Direction::Ingress, Direction::Egress]
            .into_iter()
            .filter(|direction| !isolates(spec, *direction))
            .flat_map(|direction| {
                written(direction)
                    .into_iter()
                    .map(move |rule| (direction, rule))
            })
            .collect();
        Self {
            unlisted,
            selector: spec
                .pod_selector
                .as_ref()
                .map(Selector::parse)
                .unwrap_or_default(),
            ingress: rules(Direction::Ingress),
            egress: rules(Direction::Egress),
            id: PolicyRef {
                name: policy.metadata.name.clone().unwrap_or_default(),
                uid: policy.metadata.uid.clone().unwrap_or_default(),
                generation: policy.metadata.generation.unwrap_or_default(),
                namespace,
            },
        }
    }

    /// Whether it selects a pod of this namespace with these labels.
    #[must_use]
    pub fn selects(&self, namespace: &str, labels: &Labels) -> bool {
        self.id.namespace == namespace && self.selector.matches(labels)
    }

    /// Its rules in a direction, `None` when it does not isolate that direction.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// Without `policyTypes` a policy isolates ingress, and egress only if it has egress rules.
fn isolates(spec: &NetworkPolicySpec, direction: Direction) -> bool {
    match spec.policy_types.as_deref() {
        None | Some([]) => match direction {
            Direction::Ingress => true,
            Direction::Egress => spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
        },
        Some(types) => types.iter().any(|name| match direction {
            Direction::Ingress => name == "Ingress",
            Direction::Egress => name == "Egress",
        }),
    }
}

fn parse_rule(
    namespace: &str,
    peers: Option<&[NetworkPolicyPeer]>,
    ports: Option<&[NetworkPolicyPort]>,
) -> Rule {
    Rule {
        peers: match peers {
            None | Some([]) => Peers::Any,
            Some(peers) => Peers::Some(
                peers
                    .iter()
                    .map(|peer| parse_peer(namespace, peer))
                    .collect(),
            ),
        },
        ports: match ports {
            None | Some([]) => Ports::Any,
            Some(ports) => Ports::Some(
                ports
                    .iter()
                    .map(|port| parse_port(port).unwrap_or((Protocol::Tcp, PortMatch::Unreadable)))
                    .collect(),
            ),
        },
    }
}

fn parse_peer(namespace: &str, peer: &NetworkPolicyPeer) -> Peer {
    match (&peer.ip_block, &peer.namespace_selector, &peer.pod_selector) {
        (Some(block), None, None) => Block::parse(block).map_or(Peer::Unreadable, Peer::Block),
        (None, None, Some(pods)) => Peer::Pods {
            namespaces: Selector::label(NAMESPACE_NAME, namespace),
            pods: Selector::parse(pods),
        },
        (None, Some(namespaces), pods) => Peer::Pods {
            namespaces: Selector::parse(namespaces),
            pods: pods.as_ref().map(Selector::parse).unwrap_or_default(),
        },
        _ => Peer::Unreadable,
    }
}

/// One port; `None` for a protocol or a number that no packet can have.
fn parse_port(port: &NetworkPolicyPort) -> Option<(Protocol, PortMatch)> {
    let protocol = Protocol::parse(port.protocol.as_deref())?;
    let matched = match (&port.port, port.end_port) {
        (None, _) => PortMatch::All,
        (Some(IntOrString::String(name)), _) => PortMatch::Named(name.clone()),
        (Some(IntOrString::Int(first)), last) => {
            let first = u16::try_from(*first).ok()?;
            let last = u16::try_from(last.unwrap_or(i32::from(first))).ok()?;
            if last < first {
                return None;
            }
            PortMatch::Range(first, last)
        }
    };
    Some((protocol, matched))
}
