//! Varied policies, the same ones for the same seed, to compare the evaluator with packets.

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ObjectMeta;

use super::{Labels, Pod, Protocol};

/// What there is to select: the policies speak about these and about things that are not there.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The namespace that all policies are made in.
    pub namespace: String,
    /// All namespaces by name, with their labels.
    pub namespaces: Vec<(String, Labels)>,
    /// All pods.
    pub pods: Vec<Pod>,
    /// Addresses outside the cluster, of either family.
    pub addresses: Vec<IpAddr>,
    /// Ports on which something listens, and their neighbours.
    pub ports: Vec<u16>,
}

/// The generator SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators): a seed means
/// the same policies for ever, which no library's default generator promises.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True in `percent` of a hundred cases.
    fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(n.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }
}

/// `n` policies named `sample-00000` and so on: with and without `policyTypes`, both directions, blocks of
/// both families with exceptions, all combinations of selectors, empty and absent ones among them, numbered
/// and named ports, ranges, ports without number, rules without peers or ports, and no rules at all.
///
/// Every one is valid for the API server. The same arguments give the same policies.
#[must_use]
pub fn generate(seed: u64, n: usize, scene: &Scene) -> Vec<NetworkPolicy> {
    (0..n)
        .map(|index| {
            // One generator each, so that a policy does not depend on how many there are.
            let number = u64::try_from(index).unwrap_or(u64::MAX);
            let mut dice = Dice(seed ^ number.wrapping_mul(0xa076_1d64_78bd_642f));
            policy(&mut dice, scene, index)
        })
        .collect()
}

fn policy(dice: &mut Dice, scene: &Scene, index: usize) -> NetworkPolicy {
    let ingress = rules(dice, |dice| NetworkPolicyIngressRule {
        from: some_of(dice, |dice| peer(dice, scene)),
        ports: some_of(dice, |dice| port(dice, scene)),
    });
    let egress = rules(dice, |dice| NetworkPolicyEgressRule {
        to: some_of(dice, |dice| peer(dice, scene)),
        ports: some_of(dice, |dice| port(dice, scene)),
    });
    let policy_types = match dice.below(5) {
        0 => None,
        1 => Some(vec!["Ingress".to_owned()]),
        2 => Some(vec!["Egress".to_owned()]),
        _ => Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
    };
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(format!("sample-{index:05}")),
            namespace: Some(scene.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pod_selector(dice, scene)),
            policy_types,
            ingress,
            egress,
        }),
    }
}

/// No list, an empty one, or up to three rules.
fn rules<T>(dice: &mut Dice, mut one: impl FnMut(&mut Dice) -> T) -> Option<Vec<T>> {
    match dice.below(8) {
        0 => None,
        1 => Some(Vec::new()),
        more => Some((0..=more % 3).map(|_| one(dice)).collect()),
    }
}

/// No list, an empty one (both mean everything), or one or two entries.
fn some_of<T>(dice: &mut Dice, mut one: impl FnMut(&mut Dice) -> T) -> Option<Vec<T>> {
    match dice.below(10) {
        0 => None,
        1 => Some(Vec::new()),
        more => Some((0..=more % 2).map(|_| one(dice)).collect()),
    }
}

fn peer(dice: &mut Dice, scene: &Scene) -> NetworkPolicyPeer {
    let mut peer = NetworkPolicyPeer::default();
    match dice.below(6) {
        0 | 1 => peer.ip_block = block(dice, scene),
        2 => peer.namespace_selector = Some(namespace_selector(dice, scene)),
        3 | 4 => {
            peer.namespace_selector = Some(namespace_selector(dice, scene));
            peer.pod_selector = Some(pod_selector(dice, scene));
        }
        _ => {}
    }
    if peer == NetworkPolicyPeer::default() {
        peer.pod_selector = Some(pod_selector(dice, scene));
    }
    peer
}

/// A block around one of the addresses, sometimes with an exception that cuts it out again.
fn block(dice: &mut Dice, scene: &Scene) -> Option<IPBlock> {
    let address = *dice.pick(&scene.addresses)?;
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let widths: [u8; 5] = [0, bits / 4, bits / 2, bits - 8, bits];
    let width = *dice.pick(&widths)?;
    let net = ipnet::IpNet::new(address, width).ok()?.trunc();
    let mut except = Vec::new();
    if width < bits && dice.chance(60) {
        let around = *dice.pick(&scene.addresses)?;
        let inside = if net.contains(&around) {
            around
        } else {
            address
        };
        let deeper = (width + 1 + dice.pick(&[0, 3, 7, bits])?).min(bits);
        except.push(ipnet::IpNet::new(inside, deeper).ok()?.trunc().to_string());
    }
    Some(IPBlock {
        cidr: net.to_string(),
        except: (!except.is_empty()).then_some(except),
    })
}

fn port(dice: &mut Dice, scene: &Scene) -> NetworkPolicyPort {
    let protocol = [
        None,
        Some(Protocol::Tcp),
        Some(Protocol::Udp),
        Some(Protocol::Tcp),
    ];
    let protocol = dice.pick(&protocol).copied().flatten();
    let mut port = NetworkPolicyPort {
        protocol: protocol.map(|protocol| protocol.as_str().to_owned()),
        ..NetworkPolicyPort::default()
    };
    let number = dice.pick(&scene.ports).copied().unwrap_or(8080);
    match dice.below(5) {
        0 => {}
        1 => {
            let names: Vec<&str> = (scene.pods.iter())
                .flat_map(|pod| pod.ports.iter().map(|port| port.name.as_str()))
                .chain(["nobody"])
                .collect();
            port.port = dice
                .pick(&names)
                .map(|name| IntOrString::String((*name).to_owned()));
        }
        2 => {
            let first = number
                .saturating_sub(u16::try_from(dice.below(3)).unwrap_or(0))
                .max(1);
            let last = first.saturating_add(u16::try_from(dice.below(5)).unwrap_or(0));
            port.port = Some(IntOrString::Int(i32::from(first)));
            port.end_port = Some(i32::from(last));
        }
        _ => port.port = Some(IntOrString::Int(i32::from(number))),
    }
    port
}

fn namespace_selector(dice: &mut Dice, scene: &Scene) -> LabelSelector {
    let labels: Vec<&Labels> = scene.namespaces.iter().map(|(_, labels)| labels).collect();
    selector(dice, &labels)
}

fn pod_selector(dice: &mut Dice, scene: &Scene) -> LabelSelector {
    let labels: Vec<&Labels> = scene.pods.iter().map(|pod| &pod.labels).collect();
    selector(dice, &labels)
}

fn selector(dice: &mut Dice, known: &[&Labels]) -> LabelSelector {
    let pairs: Vec<(&String, &String)> = known.iter().flat_map(|labels| labels.iter()).collect();
    let Some((key, value)) = dice.pick(&pairs).copied() else {
        return LabelSelector::default();
    };
    let expression = |operator: &str, values: &[&str]| LabelSelector {
        match_labels: None,
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.to_owned(),
            values: (!values.is_empty())
                .then(|| values.iter().map(|value| (*value).to_owned()).collect()),
        }]),
    };
    match dice.below(8) {
        0 | 1 => LabelSelector::default(),
        2 => expression("Exists", &[]),
        3 => expression("DoesNotExist", &[]),
        4 => expression("In", &[value, "nothing-has-this"]),
        5 => expression("NotIn", &[value]),
        _ => LabelSelector {
            match_labels: Some(Labels::from([(key.clone(), value.clone())])),
            match_expressions: None,
        },
    }
}
