use super::fixtures::{labels, policy};
use super::*;

const SEALED: &str = "
podSelector: {matchExpressions: [{key: sealroom.dev/sealed, operator: Exists}]}
policyTypes: [Ingress, Egress]
egress: []
ingress:
- from:
  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: sealroom-system}}
    podSelector: {matchLabels: {app.kubernetes.io/name: sealroom}}
  ports: [{port: 8081, protocol: TCP}]
";
const EDGE: &str = "
podSelector: {matchLabels: {sealroom.dev/owner-uid: u1}}
policyTypes: [Ingress]
ingress:
- from: [{podSelector: {matchLabels: {app: chat}}}]
  ports: [{port: 8080}]
";

fn sealed_pod() -> Labels {
    labels(&[
        ("sealroom.dev/sealed", "serve"),
        ("sealroom.dev/owner-uid", "u1"),
    ])
}

fn own() -> Vec<Policy> {
    vec![
        policy("sealroom-sealed", SEALED),
        policy("sealroom-edge-assistant", EDGE),
    ]
}

/// The verdict when the cluster has the declared policies and these.
fn with(others: &[(&str, &str)]) -> Closure {
    let mut policies = own();
    policies.extend(others.iter().map(|(name, spec)| policy(name, spec)));
    closure(
        &Declared { policies: own() },
        &policies,
        "team-a",
        &sealed_pod(),
    )
}

#[test]
fn what_was_declared_is_equal() {
    assert_eq!(with(&[]), Closure::Equal);
    assert_eq!(with(&[]).detail(), "");
}

#[test]
fn allow_dns_for_all_pods_is_named_with_the_cure() {
    let verdict = with(&[(
        "allow-dns",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], ports: [{port: 53, protocol: UDP}]}]}",
    )]);
    assert_eq!(
        verdict.detail(),
        "NetworkPolicy team-a/allow-dns lets this pod send to all pods of namespaces [kubernetes.io/metadata.name=kube-system], port 53/UDP; exclude pods with the label sealroom.dev/sealed by matchExpressions {key: sealroom.dev/sealed, operator: DoesNotExist}"
    );
}

#[rstest::rstest]
#[case::cured(
    "{podSelector: {matchExpressions: [{key: sealroom.dev/sealed, operator: DoesNotExist}]}, egress: [{}]}"
)]
#[case::deny_all("{podSelector: {}, policyTypes: [Ingress, Egress]}")]
#[case::a_block_without_addresses(
    "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/9, 10.128.0.0/9]}}]}]}"
)]
#[case::narrower_than_the_edge(
    "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: chat, tier: front}}}], ports: [{port: 8080}]}]}"
)]
#[case::the_edge_written_otherwise(
    "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [team-a]}]}, podSelector: {matchLabels: {app: chat}}}], ports: [{port: 8080, endPort: 8080, protocol: TCP}]}]}"
)]
fn adds_nothing(#[case] spec: &str) {
    assert_eq!(with(&[("other", spec)]), Closure::Equal);
}

#[rstest::rstest]
#[case::everything(
    "{podSelector: {}, egress: [{}]}",
    Direction::Egress,
    "send to every address, all ports"
)]
#[case::one_address(
    "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 203.0.113.7/32}}]}]}",
    Direction::Egress,
    "send to 203.0.113.7/32, all ports"
)]
#[case::one_v6_address(
    "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: '2001:db8::7/128'}}]}]}",
    Direction::Egress,
    "send to 2001:db8::7/128, all ports"
)]
#[case::missing_types(
    "{podSelector: {}, egress: [{ports: [{port: 53, endPort: 54}]}]}",
    Direction::Egress,
    "ports 53-54/TCP"
)]
#[case::a_named_port(
    "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{port: dns, protocol: UDP}]}]}",
    Direction::Egress,
    "the port named dns/UDP"
)]
#[case::another_port(
    "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: chat}}}], ports: [{port: 8082}]}]}",
    Direction::Ingress,
    "port 8082/TCP"
)]
#[case::a_wider_range(
    "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: chat}}}], ports: [{port: 8080, endPort: 8081}]}]}",
    Direction::Ingress,
    "ports 8080-8081/TCP"
)]
#[case::the_other_protocol(
    "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: chat}}}], ports: [{port: 8080, protocol: UDP}]}]}",
    Direction::Ingress,
    "port 8080/UDP"
)]
#[case::all_ports_of_the_peer(
    "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: chat}}}]}]}",
    Direction::Ingress,
    "all ports"
)]
#[case::other_pods(
    "{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 8080}]}]}",
    Direction::Ingress,
    "all pods of namespaces [kubernetes.io/metadata.name=team-a]"
)]
#[case::the_same_pods_elsewhere(
    "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: chat}}}], ports: [{port: 8080}]}]}",
    Direction::Ingress,
    "of all namespaces"
)]
#[case::an_unknown_protocol(
    "{podSelector: {}, egress: [{ports: [{protocol: ICMP}]}]}",
    Direction::Egress,
    "cannot evaluate"
)]
#[case::an_unknown_peer(
    "{podSelector: {}, egress: [{to: [{}]}]}",
    Direction::Egress,
    "cannot evaluate"
)]
#[case::one_narrow_rule_after_a_covered_one(
    "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: chat}}}], ports: [{port: 8080}, {port: 9}]}]}",
    Direction::Ingress,
    "port 9/TCP"
)]
fn adds(#[case] spec: &str, #[case] direction: Direction, #[case] text: &str) {
    let Closure::Widened(widenings) = with(&[("other", spec)]) else {
        panic!("not noticed");
    };
    let [
        Widening::Policy {
            policy,
            direction: found,
            own: false,
            ..
        },
    ] = &widenings[..]
    else {
        panic!("{widenings:?}");
    };
    assert_eq!((policy.name.as_str(), *found), ("other", direction));
    let shown = widenings[0].to_string();
    assert!(shown.contains(text), "{shown}");
}

#[test]
fn a_pod_that_nothing_isolates_is_widened_in_both_directions() {
    let verdict = closure(&Declared { policies: own() }, &[], "team-a", &sealed_pod());
    let expected = [Direction::Egress, Direction::Ingress].map(Widening::NotIsolated);
    assert_eq!(verdict, Closure::Widened(expected.to_vec()));
    assert!(
        verdict
            .detail()
            .starts_with("no NetworkPolicy isolates this pod for egress")
    );
}

#[test]
fn the_edge_alone_does_not_isolate_egress() {
    let policies = [policy("sealroom-edge-assistant", EDGE)];
    let verdict = closure(
        &Declared { policies: own() },
        &policies,
        "team-a",
        &sealed_pod(),
    );
    assert_eq!(
        verdict,
        Closure::Widened(vec![Widening::NotIsolated(Direction::Egress)])
    );
}

#[test]
fn a_pod_that_lost_its_label_is_no_longer_isolated() {
    let verdict = closure(
        &Declared { policies: own() },
        &own(),
        "team-a",
        &Labels::new(),
    );
    assert!(matches!(verdict, Closure::Widened(list) if list.len() == 2));
}

#[test]
fn an_own_policy_that_was_altered_is_told_apart() {
    let mut policies = own();
    policies[0] = policy(
        "sealroom-sealed",
        &SEALED.replace("egress: []", "egress: [{}]"),
    );
    let verdict = closure(
        &Declared { policies: own() },
        &policies,
        "team-a",
        &sealed_pod(),
    );
    let detail = verdict.detail();
    assert!(
        detail.contains("sealroom-sealed lets this pod send to every address"),
        "{detail}"
    );
    assert!(
        detail.ends_with("restore it as the operator made it"),
        "{detail}"
    );
}

#[test]
fn policies_of_other_namespaces_are_not_ours() {
    let mut foreign = policy("other", "{podSelector: {}, egress: [{}]}");
    foreign.id.namespace = "team-b".to_owned();
    let mut policies = own();
    policies.push(foreign);
    let verdict = closure(
        &Declared { policies: own() },
        &policies,
        "team-a",
        &sealed_pod(),
    );
    assert_eq!(verdict, Closure::Equal);
}

#[test]
fn the_detail_stays_short_and_says_how_many_more() {
    let spec = "{podSelector: {}, egress: [{}]}";
    let names: Vec<String> = (0..50).map(|n| format!("wide-{n:02}")).collect();
    let others: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), spec)).collect();
    let detail = with(&others).detail();
    assert!(detail.chars().count() <= 1024);
    assert!(detail.starts_with("NetworkPolicy team-a/wide-00"));
    assert!(detail.contains("; and 4"), "{detail}");
}

#[test]
fn a_registry_edge_is_declared_egress() {
    let edge = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.1/32}}], ports: [{port: 5000}]}]}";
    let declared = Declared {
        policies: vec![policy("sealroom-edge-artifact", edge)],
    };
    assert!(declared.has_egress());
    assert!(!Declared { policies: own() }.has_egress());
}

#[test]
fn rules_that_policy_types_leave_out_widen() {
    // The API says that the egress rule means nothing; Cilium carries it out.
    let spec = "{podSelector: {}, policyTypes: [Ingress], egress: [{ports: [{port: 9000}]}]}";
    let detail = with(&[("quiet", spec)]).detail();
    assert!(
        detail.starts_with("NetworkPolicy team-a/quiet lets this pod send to"),
        "{detail}"
    );
}
