//! What a pod is asked to probe, and beside which control: pure.
//!
//! Required: canaries on the pod's own and on other nodes by pod address, their Service, cluster DNS, the API
//! server, each over every transport and each family that the pod has. Tripwires: metadata addresses and the
//! pod's own node.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::seal::state::OWN_NODE;
use crate::seal::wire::{Control, Proto, Target, TargetKind};

use super::config::WirePorts;
use super::view::{Infrastructure, ServiceAddresses};

mod controls;
mod of_pod;

pub use controls::{Controls, OPERATOR};
pub use of_pod::{PodTargets, for_pod};

/// The kubelet's port: something listens there on every node.
const KUBELET: u16 = 10250;

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
