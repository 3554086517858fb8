use std::collections::BTreeSet;

use super::config::WirePorts;
use super::targets::{Controls, for_canaries, for_operator, for_pod};
use super::view::{Canary, Infrastructure, PodKind, SealedPod, ServiceAddresses};
use crate::policy::Pod;
use crate::seal::check::{MAX_CONTROL_TARGETS, MAX_NAME, MAX_TARGETS};
use crate::seal::state::OwnNode;
use crate::seal::wire::{Control, ControlReport, Dialled, Proto, VERSION};

fn addresses(ips: &[&str]) -> Vec<std::net::IpAddr> {
    ips.iter().map(|ip| ip.parse().unwrap()).collect()
}

fn sealed(ips: &[&str]) -> SealedPod {
    SealedPod {
        uid: "p".to_owned(),
        owner_uid: String::new(),
        kind: PodKind::Gated,
        pod: Pod {
            addresses: addresses(ips),
            ..Pod::default()
        },
        node: "node-1".to_owned(),
        node_addresses: addresses(&["172.20.0.1", "fd20::1"]),
        gate_running: true,
        gate_ready: true,
        engine_started: false,
        engine_oom: false,
        unlabelled: false,
        altered: None,
        notes: Vec::new(),
        grace: Some(120),
        terminating: false,
        condition: None,
    }
}

fn canary(name: &str, node: &str, ips: &[&str]) -> Canary {
    let pod = Pod {
        name: name.to_owned(),
        addresses: addresses(ips),
        ..Pod::default()
    };
    Canary {
        uid: name.to_owned(),
        pod,
        node: node.to_owned(),
        ready: true,
    }
}

fn shared(canaries: Vec<Canary>) -> Infrastructure {
    Infrastructure {
        canaries,
        canary_service: ServiceAddresses::Found(addresses(&["10.96.0.9", "fd96::9"])),
        dns: ServiceAddresses::Found(addresses(&["10.96.0.10"])),
        api: ServiceAddresses::Found(addresses(&["10.96.0.1"])),
    }
}

/// Every canary reached everything.
fn all_well(pod: &SealedPod, shared: &Infrastructure) -> Controls {
    let ports = WirePorts::default();
    let nodes: BTreeSet<_> = pod.node_addresses.iter().copied().collect();
    let dialled = |addr, proto| Dialled {
        addr,
        proto,
        rtt_micros: Some(250),
    };
    let gates = pod
        .pod
        .addresses
        .iter()
        .map(|ip| (*ip, ports.gate_admin).into());
    let report = ControlReport {
        v: VERSION,
        canary_uid: String::new(),
        gates: gates.map(|addr| dialled(addr, Proto::Tcp)).collect(),
        targets: (for_canaries(shared, ports, &nodes).iter())
            .chain(&for_operator(shared, ports))
            .map(|target| dialled(target.addr, target.proto))
            .collect(),
    };
    let canaries = shared.canaries.iter();
    Controls(
        canaries
            .map(|canary| (canary.uid.clone(), Ok(report.clone())))
            .collect(),
    )
}

#[test]
fn both_families_both_transports_own_and_other_node() {
    let pod = sealed(&["10.0.0.1", "fd00::1"]);
    let shared = shared(vec![
        canary("a", "node-1", &["10.0.0.9", "fd00::9"]),
        canary("b", "node-2", &["10.0.1.9", "fd00:1::9"]),
    ]);
    let controls = all_well(&pod, &shared);
    let plan = for_pod(
        &pod,
        &shared,
        &controls,
        WirePorts::default(),
        OwnNode::Report,
    );
    let lines: Vec<String> = plan
        .targets
        .iter()
        .map(|target| {
            let required = if target.required {
                "required"
            } else {
                "tripwire"
            };
            format!("{} {} {required}", target.name, target.addr)
        })
        .collect();
    let expected = [
        "canary/own-node/tcp4 10.0.0.9:8080 required",
        "canary/own-node/udp4 10.0.0.9:8080 required",
        "canary/own-node/tcp6 [fd00::9]:8080 required",
        "canary/own-node/udp6 [fd00::9]:8080 required",
        "canary/other-node/tcp4 10.0.1.9:8080 required",
        "canary/other-node/udp4 10.0.1.9:8080 required",
        "canary/other-node/tcp6 [fd00:1::9]:8080 required",
        "canary/other-node/udp6 [fd00:1::9]:8080 required",
        "canary-service/tcp4 10.96.0.9:8080 required",
        "canary-service/udp4 10.96.0.9:8080 required",
        "canary-service/tcp6 [fd96::9]:8080 required",
        "canary-service/udp6 [fd96::9]:8080 required",
        "dns/tcp4 10.96.0.10:53 required",
        "dns/udp4 10.96.0.10:53 required",
        "api-server/tcp4 10.96.0.1:443 required",
        "metadata/tcp4 169.254.169.254:80 tripwire",
        "metadata/tcp6 [fd00:ec2::254]:80 tripwire",
        "own-node/tcp4 172.20.0.1:10250 tripwire",
        "own-node/tcp6 [fd20::1]:10250 tripwire",
    ];
    assert_eq!(lines, expected);
    assert!(plan.failed.is_empty() && plan.notes.is_empty(), "{plan:?}");
    let controls = plan
        .targets
        .iter()
        .map(|target| (target.required, target.control));
    assert!(controls.into_iter().all(|(required, control)| {
        control
            == if required {
                Control::Ok { rtt_micros: 250 }
            } else {
                Control::None
            }
    }));
}

#[test]
fn one_node_is_noted_and_a_family_that_the_pod_lacks_is_left_out() {
    let pod = sealed(&["10.0.0.1"]);
    let shared = shared(vec![canary("a", "node-1", &["10.0.0.9", "fd00::9"])]);
    let controls = all_well(&pod, &shared);
    let plan = for_pod(
        &pod,
        &shared,
        &controls,
        WirePorts::default(),
        OwnNode::Report,
    );
    assert_eq!(plan.notes, ["otherNode: not tested"]);
    assert!(
        plan.targets
            .iter()
            .all(|target| !target.required || target.addr.is_ipv4())
    );
    assert!(plan.failed.is_empty(), "{:?}", plan.failed);
}

#[test]
fn a_family_without_a_canary_is_noted() {
    let pod = sealed(&["10.0.0.1", "fd00::1"]);
    let shared = shared(vec![canary("a", "node-2", &["10.0.0.9"])]);
    let controls = all_well(&pod, &shared);
    let plan = for_pod(
        &pod,
        &shared,
        &controls,
        WirePorts::default(),
        OwnNode::Report,
    );
    assert_eq!(plan.notes, ["ownNode: no canary", "IPv6: no canary"]);
}

#[test]
fn a_required_own_node_has_its_control() {
    let pod = sealed(&["10.0.0.1"]);
    let shared = shared(vec![canary("a", "node-1", &["10.0.0.9"])]);
    let controls = all_well(&pod, &shared);
    let plan = |controls| {
        for_pod(
            &pod,
            &shared,
            controls,
            WirePorts::default(),
            OwnNode::Require,
        )
    };
    let node = |controls| {
        let targets = plan(controls).targets;
        let node = targets
            .into_iter()
            .find(|target| target.name == "own-node/tcp4");
        node.map(|target| (target.required, target.control))
    };
    assert_eq!(
        node(&controls),
        Some((true, Control::Ok { rtt_micros: 250 }))
    );
    assert_eq!(node(&Controls::default()), Some((true, Control::Failed)));
}

#[test]
fn a_round_without_canaries_holds_a_required_target_whose_control_failed() {
    let pod = sealed(&["10.0.0.1"]);
    let nothing = Infrastructure::default();
    let ports = WirePorts::default();
    let plan = for_pod(&pod, &nothing, &Controls::default(), ports, OwnNode::Report);
    let required: Vec<_> = plan
        .targets
        .iter()
        .filter(|target| target.required)
        .collect();
    assert_eq!((required.len(), required[0].control), (1, Control::Failed));
    assert_eq!(plan.failed, ["no canary is running"]);
}

#[test]
fn a_silent_canary_is_named_once() {
    let pod = sealed(&["10.0.0.1", "fd00::1"]);
    let shared = shared(vec![canary("a", "node-1", &["10.0.0.9", "fd00::9"])]);
    let mut controls = all_well(&pod, &shared);
    controls
        .0
        .insert("a".to_owned(), Err("no answer in time".to_owned()));
    let plan = for_pod(
        &pod,
        &shared,
        &controls,
        WirePorts::default(),
        OwnNode::Report,
    );
    assert_eq!(
        plan.failed[0],
        "canary a does not answer: no answer in time"
    );
    let named = plan
        .failed
        .iter()
        .filter(|why| why.contains("does not answer"));
    assert_eq!(named.count(), 1);
}

#[test]
fn a_big_cluster_stays_within_what_gates_and_canaries_take() {
    let pod = sealed(&["10.0.0.1", "fd00::1"]);
    let canaries = (0..100).map(|n| {
        canary(
            &format!("canary-{n}"),
            &format!("node-{n}"),
            &["10.0.0.9", "fd00::9"],
        )
    });
    let shared = shared(canaries.collect());
    let ports = WirePorts::default();
    let plan = for_pod(
        &pod,
        &shared,
        &all_well(&pod, &shared),
        ports,
        OwnNode::Require,
    );
    assert!(plan.targets.len() <= MAX_TARGETS);
    assert!(
        plan.targets
            .iter()
            .all(|target| target.name.len() <= MAX_NAME)
    );
    let nodes = (0..16)
        .map(|n| std::net::IpAddr::from([10, 1, 0, n]))
        .collect();
    assert!(for_canaries(&shared, ports, &nodes).len() <= MAX_CONTROL_TARGETS);
    let names: BTreeSet<_> = plan.targets.iter().map(|target| &target.name).collect();
    assert_eq!(names.len(), plan.targets.len(), "a name is there twice");
}

#[test]
fn a_canary_that_dials_but_does_not_listen_is_no_control() {
    let pod = sealed(&["10.0.0.1"]);
    let shared = shared(vec![
        canary("a", "node-1", &["10.0.0.9"]),
        canary("b", "node-2", &["10.0.1.9"]),
    ]);
    let mut controls = all_well(&pod, &shared);
    let deaf: std::net::IpAddr = "10.0.0.9".parse().unwrap();
    for report in controls.0.values_mut().flatten() {
        report.targets.retain(|dialled| dialled.addr.ip() != deaf);
    }
    let ports = WirePorts::default();
    let plan = for_pod(&pod, &shared, &controls, ports, OwnNode::Report);
    for target in &plan.targets {
        let failed = target.control == Control::Failed;
        assert_eq!(failed, target.addr.ip() == deaf, "{target:?}");
    }
    assert_eq!(plan.failed.len(), 2, "{:?}", plan.failed);
}
