use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::fixtures::{policy, scene};
use super::sample::{Scene, generate};
use super::*;

fn namespaces(scene: &Scene) -> BTreeMap<String, Labels> {
    scene.namespaces.iter().cloned().collect()
}

fn named<'a>(scene: &'a Scene, name: &str) -> &'a Pod {
    scene
        .pods
        .iter()
        .find(|pod| pod.name == name)
        .expect("a pod")
}

/// May pod `one` of team-a send to the peer (a pod's name or an address) under this policy?
fn sends(spec: &str, peer: &str, port: u16, protocol: Protocol) -> bool {
    decide(Direction::Egress, spec, peer, port, protocol)
}

fn decide(direction: Direction, spec: &str, peer: &str, port: u16, protocol: Protocol) -> bool {
    let scene = scene();
    let policies = [policy("p", spec)];
    let peer = match peer.parse::<IpAddr>() {
        Ok(address) => Remote::Ip(address),
        Err(_) => Remote::Pod(named(&scene, peer), None),
    };
    let one = named(&scene, "one");
    permits(
        &policies,
        &namespaces(&scene),
        &scene.pods,
        direction,
        one,
        peer,
        port,
        protocol,
    )
}

#[rstest::rstest]
#[case::no_rules_deny("{podSelector: {}, policyTypes: [Egress]}", "two", 80, false)]
#[case::an_empty_rule_allows_all("{podSelector: {}, egress: [{}]}", "192.0.2.10", 9, true)]
#[case::ingress_only_leaves_egress_open(
    "{podSelector: {}, policyTypes: [Ingress], egress: []}",
    "two",
    80,
    true
)]
#[case::missing_types_without_egress_rules("{podSelector: {}}", "two", 80, true)]
#[case::missing_types_with_egress_rules(
    "{podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: x}}}]}]}",
    "two",
    80,
    false
)]
#[case::empty_types_are_missing_types(
    "{podSelector: {}, policyTypes: [], egress: [{ports: [{port: 1}]}]}",
    "two",
    80,
    false
)]
#[case::does_not_select_the_pod(
    "{podSelector: {matchLabels: {app: two}}, policyTypes: [Egress]}",
    "two",
    80,
    true
)]
#[case::own_namespace_only(
    "{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}",
    "far",
    80,
    false
)]
#[case::own_namespace(
    "{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}",
    "two",
    80,
    true
)]
#[case::all_namespaces(
    "{podSelector: {}, egress: [{to: [{namespaceSelector: {}}]}]}",
    "bare",
    80,
    true
)]
#[case::namespaces_are_no_addresses(
    "{podSelector: {}, egress: [{to: [{namespaceSelector: {}}]}]}",
    "192.0.2.10",
    80,
    false
)]
#[case::both_selectors_must_match(
    "{podSelector: {}, egress: [{to: [{namespaceSelector: {matchLabels: {team: b}}, podSelector: {matchLabels: {app: one}}}]}]}",
    "bare",
    80,
    false
)]
#[case::both_selectors_match(
    "{podSelector: {}, egress: [{to: [{namespaceSelector: {matchLabels: {team: b}}, podSelector: {matchLabels: {app: one}}}]}]}",
    "far",
    80,
    true
)]
#[case::two_peers_are_either(
    "{podSelector: {}, egress: [{to: [{namespaceSelector: {matchLabels: {team: b}}}, {podSelector: {matchLabels: {app: two}}}]}]}",
    "two",
    80,
    true
)]
#[case::block(
    "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}",
    "192.0.2.10",
    80,
    true
)]
#[case::block_except(
    "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.8/29]}}]}]}",
    "192.0.2.10",
    80,
    false
)]
#[case::block_of_the_other_family(
    "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}",
    "2001:db8::a",
    80,
    false
)]
#[case::block_v6(
    "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '2001:db8::/64', except: ['2001:db8::b/128']}}]}]}",
    "2001:db8::a",
    80,
    true
)]
#[case::port("{podSelector: {}, egress: [{ports: [{port: 80}]}]}", "two", 80, true)]
#[case::port_of_the_other_protocol(
    "{podSelector: {}, egress: [{ports: [{port: 80, protocol: UDP}]}]}",
    "two",
    80,
    false
)]
#[case::range_end_is_included(
    "{podSelector: {}, egress: [{ports: [{port: 70, endPort: 80}]}]}",
    "two",
    80,
    true
)]
#[case::past_the_range(
    "{podSelector: {}, egress: [{ports: [{port: 70, endPort: 79}]}]}",
    "two",
    80,
    false
)]
#[case::protocol_without_port(
    "{podSelector: {}, egress: [{ports: [{protocol: TCP}]}]}",
    "two",
    12345,
    true
)]
#[case::named_port_of_the_receiver(
    "{podSelector: {}, egress: [{ports: [{port: web}]}]}",
    "two",
    80,
    true
)]
#[case::named_port_other_number(
    "{podSelector: {}, egress: [{ports: [{port: web}]}]}",
    "two",
    81,
    false
)]
#[case::named_port_other_protocol(
    "{podSelector: {}, egress: [{ports: [{port: dns}]}]}",
    "two",
    53,
    false
)]
#[case::named_port_of_an_address(
    "{podSelector: {}, egress: [{ports: [{port: web}]}]}",
    "192.0.2.10",
    80,
    false
)]
#[case::a_pods_address_is_the_pod(
    "{podSelector: {}, egress: [{to: [{podSelector: {matchLabels: {app: two}}}]}]}",
    "10.0.0.2",
    80,
    true
)]
#[case::itself("{podSelector: {}, policyTypes: [Egress]}", "one", 80, true)]
fn egress(#[case] spec: &str, #[case] peer: &str, #[case] port: u16, #[case] expected: bool) {
    assert_eq!(sends(spec, peer, port, Protocol::Tcp), expected);
}

#[rstest::rstest]
#[case::missing_types_isolate_ingress("{podSelector: {}}", "two", 80, false)]
#[case::named_port_of_the_selected_pod(
    "{podSelector: {}, ingress: [{ports: [{port: web}]}]}",
    "192.0.2.10",
    80,
    true
)]
#[case::egress_only_leaves_ingress_open(
    "{podSelector: {}, policyTypes: [Egress]}",
    "far",
    80,
    true
)]
#[case::from_another_namespace(
    "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}]}]}",
    "bare",
    80,
    true
)]
fn ingress(#[case] spec: &str, #[case] peer: &str, #[case] port: u16, #[case] expected: bool) {
    assert_eq!(
        decide(Direction::Ingress, spec, peer, port, Protocol::Tcp),
        expected
    );
}

#[test]
fn blocks_reach_pods_only_where_the_network_says_so() {
    let scene = scene();
    let policies = [policy(
        "p",
        "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}",
    )];
    let namespaces = namespaces(&scene);
    for (blocks, expected) in [(BlockScope::Everyone, true), (BlockScope::Outside, false)] {
        let world = World {
            policies: &policies,
            namespaces: &namespaces,
            pods: &scene.pods,
            blocks,
        };
        let two = Remote::Ip("10.0.0.2".parse().unwrap());
        let one = named(&scene, "one");
        assert_eq!(
            world.permits(Direction::Egress, one, two, 80, Protocol::Tcp),
            expected
        );
    }
}

#[test]
fn a_connection_needs_both_ends() {
    let scene = scene();
    let policies = [
        policy(
            "out",
            "{podSelector: {matchLabels: {app: one}}, policyTypes: [Egress], egress: [{}]}",
        ),
        policy(
            "in",
            "{podSelector: {matchLabels: {app: two}}, policyTypes: [Ingress]}",
        ),
    ];
    let namespaces = namespaces(&scene);
    let world = World {
        policies: &policies,
        namespaces: &namespaces,
        pods: &scene.pods,
        blocks: BlockScope::Everyone,
    };
    let (one, two) = (named(&scene, "one"), named(&scene, "two"));
    let to = Remote::Pod(two, None);
    assert!(world.permits(Direction::Egress, one, to, 80, Protocol::Tcp));
    assert!(!world.connects(one, two, two.addresses[0], 80, Protocol::Tcp));
    assert!(world.connects(two, one, one.addresses[1], 80, Protocol::Tcp));
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
