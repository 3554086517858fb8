//! What the tests of this room share.

use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::sample::Scene;
use super::{Labels, NamedPort, Pod, Policy, Protocol};

pub(super) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// A policy of namespace `team-a` from the YAML of its spec.
pub(super) fn policy(name: &str, spec: &str) -> Policy {
    let spec = serde_saphyr::from_str(spec).expect("a spec");
    let mut policy = NetworkPolicy {
        spec: Some(spec),
        ..NetworkPolicy::default()
    };
    policy.metadata.name = Some(name.to_owned());
    policy.metadata.namespace = Some("team-a".to_owned());
    Policy::parse(&policy)
}

pub(super) fn pod(namespace: &str, name: &str, ip: &[&str], pairs: &[(&str, &str)]) -> Pod {
    Pod {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        labels: labels(pairs),
        addresses: ip
            .iter()
            .map(|ip| ip.parse().expect("an address"))
            .collect(),
        ports: vec![
            NamedPort {
                name: "web".to_owned(),
                protocol: Protocol::Tcp,
                port: 80,
            },
            NamedPort {
                name: "dns".to_owned(),
                protocol: Protocol::Udp,
                port: 53,
            },
        ],
    }
}

pub(super) fn scene() -> Scene {
    let namespace = |name: &str, team: &str| {
        let labels = labels(&[("kubernetes.io/metadata.name", name), ("team", team)]);
        (name.to_owned(), labels)
    };
    Scene {
        namespace: "team-a".to_owned(),
        namespaces: vec![namespace("team-a", "a"), namespace("team-b", "b")],
        pods: vec![
            pod(
                "team-a",
                "one",
                &["10.0.0.1", "fd00::1"],
                &[("app", "one"), ("tier", "front")],
            ),
            pod("team-a", "two", &["10.0.0.2", "fd00::2"], &[("app", "two")]),
            pod(
                "team-b",
                "far",
                &["10.0.1.3", "fd00:1::3"],
                &[("app", "one")],
            ),
            pod("team-b", "bare", &["10.0.1.4", "fd00:1::4"], &[]),
        ],
        addresses: ["192.0.2.10", "198.51.100.7", "2001:db8::a", "2001:db8:1::7"]
            .map(|ip| ip.parse().expect("an address"))
            .to_vec(),
        ports: vec![53, 80, 81, 8080],
    }
}
