use std::collections::BTreeMap;
use std::net::IpAddr;

use super::fixtures::{policy, scene};
use super::sample::Scene;
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
