//! What one pod is asked to probe in one round.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Controls, own_node, services, suffix, target};
use crate::driver::config::WirePorts;
use crate::driver::view::{Canary, Infrastructure, SealedPod, ServiceAddresses};
use crate::seal::state::OwnNode;
use crate::seal::wire::{Control, Proto, Target, TargetKind};

/// Canaries on other nodes that one pod probes.
const OTHER_NODES: usize = 2;
/// Where clouds serve metadata, in both families.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
/// An address that nobody has (TEST-NET-1, RFC 5737): stands for a required target that does not exist, so
/// that its failed control can travel in a challenge.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The targets of one pod in one round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodTargets {
    /// For the challenge, each with its control.
    pub targets: Vec<Target>,
    /// The controls that failed, in words, none twice.
    pub failed: Vec<String>,
    /// What this round could not test, in words.
    pub notes: Vec<String>,
}

/// The targets of a pod, each with what `controls` say about it.
#[must_use]
pub fn for_pod(
    pod: &SealedPod,
    shared: &Infrastructure,
    controls: &Controls,
    ports: WirePorts,
    node: OwnNode,
) -> PodTargets {
    let mut plan = PodTargets::default();
    let gate = |ipv4: bool| {
        let mut addresses = pod.pod.addresses.iter();
        addresses
            .find(|ip| ip.is_ipv4() == ipv4)
            .map(|ip| SocketAddr::new(*ip, ports.gate_admin))
    };
    plan.canaries(pod, shared, controls, ports, gate);
    for mut target in services(shared, ports) {
        // A family that the pod does not have proves nothing about the policy.
        if gate(target.addr.is_ipv4()).is_some() {
            plan.control_by_any(&mut target, controls);
            plan.targets.push(target);
        }
    }
    let expected = [
        ("canary-service", &shared.canary_service),
        ("dns", &shared.dns),
        ("api-server", &shared.api),
    ];
    for (name, addresses) in expected {
        if *addresses == ServiceAddresses::Missing {
            plan.missing(name, format!("the Service for {name} is not there"));
        }
    }
    for ip in METADATA {
        let name = format!("metadata/{}", suffix(ip, Proto::Tcp));
        let addr = SocketAddr::new(ip, 80);
        plan.targets
            .push(target(name, false, TargetKind::Dial, addr, Proto::Tcp));
    }
    for ip in &pod.node_addresses {
        let mut target = own_node(*ip, node == OwnNode::Require);
        if target.required {
            plan.control_by_any(&mut target, controls);
        }
        plan.targets.push(target);
    }
    plan
}

impl PodTargets {
    fn canaries(
        &mut self,
        pod: &SealedPod,
        shared: &Infrastructure,
        controls: &Controls,
        ports: WirePorts,
        gate: impl Fn(bool) -> Option<SocketAddr>,
    ) {
        let (own, other): (Vec<&Canary>, Vec<&Canary>) = shared
            .canaries
            .iter()
            .partition(|canary| canary.node == pod.node);
        if other.is_empty() {
            self.notes.push("otherNode: not tested".to_owned());
        }
        if own.is_empty() {
            self.notes.push("ownNode: no canary".to_owned());
        }
        let named = (own
            .into_iter()
            .take(1)
            .map(|canary| ("canary/own-node".to_owned(), canary)))
        .chain(
            other
                .into_iter()
                .take(OTHER_NODES)
                .enumerate()
                .map(|(index, canary)| {
                    let number = if index == 0 {
                        String::new()
                    } else {
                        format!("-{}", index + 1)
                    };
                    (format!("canary/other-node{number}"), canary)
                }),
        );
        let mut families = BTreeSet::new();
        for (name, canary) in named {
            for ip in &canary.pod.addresses {
                let Some(gate) = gate(ip.is_ipv4()) else {
                    continue;
                };
                families.insert(ip.is_ipv4());
                let dialled = controls.dialled_gate(canary, gate);
                for proto in [Proto::Tcp, Proto::Udp] {
                    let name = format!("{name}/{}", suffix(*ip, proto));
                    let addr = SocketAddr::new(*ip, ports.canary);
                    let mut target = target(name, true, TargetKind::Canary, addr, proto);
                    let listens = controls.listens(canary, addr, proto);
                    let both = dialled.clone().and_then(|rtt| Ok(rtt.max(listens?)));
                    target.control = self.take(both);
                    self.targets.push(target);
                }
            }
        }
        if families.is_empty() {
            self.missing("canary", "no canary is running".to_owned());
        }
        for (ipv4, name) in [(true, "IPv4"), (false, "IPv6")] {
            if gate(ipv4).is_some() && !families.contains(&ipv4) {
                self.notes.push(format!("{name}: no canary"));
            }
        }
    }

    fn control_by_any(&mut self, target: &mut Target, controls: &Controls) {
        let rtt = controls.reached(target.addr, target.proto);
        target.control = self.take(
            rtt.ok_or_else(|| format!("nobody could reach {} at {}", target.name, target.addr)),
        );
    }

    fn take(&mut self, rtt: Result<u32, String>) -> Control {
        match rtt {
            Ok(rtt_micros) => Control::Ok {
                rtt_micros: rtt_micros.max(1),
            },
            Err(why) => {
                if !self.failed.contains(&why) {
                    self.failed.push(why);
                }
                Control::Failed
            }
        }
    }

    /// A required target that is not there: without it a round could look complete.
    fn missing(&mut self, name: &str, why: String) {
        let addr = SocketAddr::new(NOBODY, 9);
        let name = format!("{name}/missing");
        let mut target = target(name, true, TargetKind::Dial, addr, Proto::Tcp);
        target.control = self.take(Err(why));
        self.targets.push(target);
    }
}
