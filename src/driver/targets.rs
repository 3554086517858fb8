//! What a pod is asked to probe, and beside which control: pure.
//!
//! Required: canaries on the pod's own and on other nodes by pod address, their Service, cluster DNS, the API
//! server, each over every transport and each family that the pod has. Tripwires: metadata addresses and the
//! pod's own node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::seal::state::{OWN_NODE, OwnNode};
use crate::seal::wire::{Control, ControlReport, Proto, Target, TargetKind};

use super::config::WirePorts;
use super::view::{Canary, Infrastructure, SealedPod, ServiceAddresses};

/// Canaries on other nodes that one pod probes.
const OTHER_NODES: usize = 2;
/// The kubelet's port: something listens there on every node.
const KUBELET: u16 = 10250;
/// Where clouds serve metadata, in both families.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
/// An address that nobody has (TEST-NET-1, RFC 5737): stands for a required target that does not exist, so
/// that its failed control can travel in a challenge.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The operator's own key among [`Controls`]: no pod has such a UID.
pub const OPERATOR: &str = "operator";

/// The answers of one round, of each canary by its UID and of the operator; an error says why one did not
/// answer.
#[derive(Clone, Debug, Default)]
pub struct Controls(pub BTreeMap<String, Result<ControlReport, String>>);

impl Controls {
    /// One half of the control of a canary by its pod address: it dialled the gate.
    fn dialled_gate(&self, canary: &Canary, gate: SocketAddr) -> Result<u32, String> {
        let name = &canary.pod.name;
        match self.0.get(&canary.uid) {
            Some(Ok(report)) => report
                .gates
                .iter()
                .find(|dialled| dialled.addr == gate)
                .and_then(|dialled| dialled.rtt_micros)
                .ok_or_else(|| format!("canary {name} could not reach the gate at {gate}")),
            Some(Err(why)) => Err(format!("canary {name} does not answer: {why}")),
            None => Err(format!("canary {name} was not asked")),
        }
    }

    /// The other half of a canary's control: its listener answers the operator.
    fn listens(&self, canary: &Canary, addr: SocketAddr, proto: Proto) -> Result<u32, String> {
        self.reached(addr, proto).ok_or_else(|| {
            let proto = suffix(addr.ip(), proto);
            format!(
                "canary {} does not answer the operator over {proto}",
                canary.pod.name
            )
        })
    }

    /// The control of a shared target: a canary or the operator reached it. The slowest round trip counts.
    fn reached(&self, addr: SocketAddr, proto: Proto) -> Option<u32> {
        let reports = self.0.values().filter_map(|report| report.as_ref().ok());
        reports
            .flat_map(|report| &report.targets)
            .filter(|dialled| dialled.addr == addr && dialled.proto == proto)
            .filter_map(|dialled| dialled.rtt_micros)
            .max()
    }
}

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

fn target(
    name: String,
    required: bool,
    kind: TargetKind,
    addr: SocketAddr,
    proto: Proto,
) -> Target {
    let control = Control::None;
    Target {
        name,
        required,
        kind,
        addr,
        proto,
        control,
    }
}

/// `tcp4`, `udp6` …
fn suffix(addr: IpAddr, proto: Proto) -> &'static str {
    match (proto, addr.is_ipv4()) {
        (Proto::Tcp, true) => "tcp4",
        (Proto::Tcp, false) => "tcp6",
        (Proto::Udp, true) => "udp4",
        (Proto::Udp, false) => "udp6",
    }
}

/// The targets that all pods share and canaries dial as controls, in both families, without their controls.
fn services(shared: &Infrastructure, ports: WirePorts) -> Vec<Target> {
    let both = &[Proto::Tcp, Proto::Udp][..];
    let lists = [
        (
            "canary-service",
            &shared.canary_service,
            TargetKind::Canary,
            ports.canary,
            both,
        ),
        ("dns", &shared.dns, TargetKind::Dns, 53, both),
        (
            "api-server",
            &shared.api,
            TargetKind::Dial,
            443,
            &[Proto::Tcp][..],
        ),
    ];
    let mut all = Vec::new();
    for (name, addresses, kind, port, protos) in lists {
        let ServiceAddresses::Found(addresses) = addresses else {
            continue;
        };
        for ip in addresses.iter().take(2) {
            for proto in protos {
                let name = format!("{name}/{}", suffix(*ip, *proto));
                all.push(target(name, true, kind, SocketAddr::new(*ip, port), *proto));
            }
        }
    }
    all
}

fn own_node(ip: IpAddr, required: bool) -> Target {
    let name = format!("{OWN_NODE}{}", suffix(ip, Proto::Tcp));
    target(
        name,
        required,
        TargetKind::Dial,
        SocketAddr::new(ip, KUBELET),
        Proto::Tcp,
    )
}

/// What the operator dials by itself: the canaries' listeners and their Service. A canary that dialled the
/// Service could be led to itself, and a pod reaches itself whatever policies say.
#[must_use]
pub fn for_operator(shared: &Infrastructure, ports: WirePorts) -> Vec<Target> {
    let mut all = services(shared, ports);
    all.retain(|target| target.kind == TargetKind::Canary);
    for ip in shared
        .canaries
        .iter()
        .flat_map(|canary| &canary.pod.addresses)
    {
        for proto in [Proto::Tcp, Proto::Udp] {
            let name = format!("canary/{}", suffix(*ip, proto));
            let addr = SocketAddr::new(*ip, ports.canary);
            all.push(target(name, true, TargetKind::Canary, addr, proto));
        }
    }
    all
}

/// What canaries are ordered to dial besides gates: DNS, the API server, and the nodes whose pods require it.
#[must_use]
pub fn for_canaries(
    shared: &Infrastructure,
    ports: WirePorts,
    required_nodes: &BTreeSet<IpAddr>,
) -> Vec<Target> {
    let mut all = services(shared, ports);
    all.retain(|target| target.kind != TargetKind::Canary);
    all.extend(required_nodes.iter().map(|ip| own_node(*ip, true)));
    all
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
