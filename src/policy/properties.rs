//! What holds for any policies.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixtures::{policy, scene};
use super::sample::{Scene, generate};
use super::*;

fn namespaces(scene: &Scene) -> BTreeMap<String, Labels> {
    scene.namespaces.iter().cloned().collect()
}

/// Every connection of the scene as (direction, pod, peer, port, protocol).
fn connections(scene: &Scene) -> Vec<(Direction, &Pod, Remote<'_>, u16, Protocol)> {
    let mut all = Vec::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        for pod in &scene.pods {
            let pods = scene.pods.iter().flat_map(|peer| {
                peer.addresses
                    .iter()
                    .map(move |address| Remote::Pod(peer, Some(*address)))
            });
            for peer in pods.chain(scene.addresses.iter().map(|ip| Remote::Ip(*ip))) {
                for port in &scene.ports {
                    for protocol in [Protocol::Tcp, Protocol::Udp] {
                        all.push((direction, pod, peer, *port, protocol));
                    }
                }
            }
        }
    }
    all
}

fn is_itself(pod: &Pod, peer: Remote<'_>) -> bool {
    matches!(peer, Remote::Pod(other, _) if other == pod)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_more_policy_never_takes_from_a_pod_that_is_isolated(seed: u64) {
        let scene = scene();
        let mut policies = vec![policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}")];
        policies[0].id.namespace = scene.namespace.clone();
        policies.extend(generate(seed, 3, &scene).iter().map(Policy::parse));
        let namespaces = namespaces(&scene);
        for (direction, pod, peer, port, protocol) in connections(&scene) {
            let ask = |n: usize| permits(&policies[..n], &namespaces, &scene.pods, direction, pod, peer, port, protocol);
            for n in 1..policies.len() {
                prop_assert!(!ask(n) || ask(n + 1));
            }
        }
    }

    #[test]
    fn deny_all_allows_nothing_and_no_policy_allows_all(seed: u64) {
        let scene = scene();
        let deny = [policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}")];
        let none = generate(seed, 0, &scene);
        prop_assert!(none.is_empty());
        let namespaces = namespaces(&scene);
        for (direction, pod, peer, port, protocol) in connections(&scene) {
            let ask = |policies: &[Policy]| permits(policies, &namespaces, &scene.pods, direction, pod, peer, port, protocol);
            prop_assert!(ask(&[]));
            prop_assert_eq!(ask(&deny), pod.namespace != "team-a" || is_itself(pod, peer));
        }
    }

    /// The two halves of this room agree: what the closure calls equal permits no connection more.
    #[test]
    fn equal_closure_permits_no_connection_more(seed: u64) {
        let scene = scene();
        let mut declared = vec![policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}")];
        declared.extend(generate(seed, 2, &scene).iter().map(Policy::parse));
        let mut actual = declared.clone();
        actual.extend(generate(seed ^ 1, 2, &scene).iter().map(Policy::parse));
        let namespaces = namespaces(&scene);
        for pod in scene.pods.iter().filter(|pod| pod.namespace == "team-a") {
            let verdict = closure(&Declared { policies: declared.clone() }, &actual, "team-a", &pod.labels);
            if verdict != Closure::Equal {
                continue;
            }
            for (direction, who, peer, port, protocol) in connections(&scene) {
                let ask = |policies: &[Policy]| permits(policies, &namespaces, &scene.pods, direction, who, peer, port, protocol);
                prop_assert!(who != pod || !ask(&actual) || ask(&declared));
            }
        }
    }
}

#[test]
fn samples_repeat_and_have_every_shape() {
    let scene = scene();
    let samples = generate(7, 300, &scene);
    assert_eq!(samples, generate(7, 300, &scene));
    assert_eq!(samples[..200], generate(7, 200, &scene)[..]);
    assert_ne!(samples, generate(8, 300, &scene));
    let text = serde_json::to_string(&samples).unwrap();
    for shape in [
        "\"except\"",
        "\"endPort\"",
        "\"port\":\"web\"",
        "\"ipBlock\":{\"cidr\":\"0.0.0.0/0\"",
        "::/0",
        "\"podSelector\":{}",
        "\"NotIn\"",
        "\"DoesNotExist\"",
        "\"protocol\":\"UDP\"",
    ] {
        assert!(text.contains(shape), "no sample has {shape}");
    }
    let without_types = samples
        .iter()
        .filter(|policy| policy.spec.as_ref().unwrap().policy_types.is_none());
    assert!(without_types.count() > 20);
    // They must tell right from wrong: each verdict has to occur in each direction.
    let namespaces = namespaces(&scene);
    let mut verdicts = BTreeMap::new();
    for sample in &samples {
        let policies = [Policy::parse(sample)];
        for (direction, pod, peer, port, protocol) in connections(&scene) {
            let ok = permits(
                &policies,
                &namespaces,
                &scene.pods,
                direction,
                pod,
                peer,
                port,
                protocol,
            );
            *verdicts.entry((direction, ok)).or_insert(0_u32) += 1;
        }
    }
    assert!(
        verdicts.len() == 4 && verdicts.values().all(|count| *count > 1000),
        "{verdicts:?}"
    );
}
