//! Kinds of policy beside NetworkPolicy that a cluster may have and that nobody here evaluates.

/// The names of their CustomResourceDefinitions, sorted: those of Cilium, Calico, Antrea, OVN-Kubernetes, the
/// Amazon VPC CNI, and of the Kubernetes network policy API (`policy.networking.k8s.io`).
const KINDS: [&str; 14] = [
    "adminnetworkpolicies.policy.networking.k8s.io",
    "applicationnetworkpolicies.networking.k8s.aws",
    "baselineadminnetworkpolicies.policy.networking.k8s.io",
    "ciliumclusterwidenetworkpolicies.cilium.io",
    "ciliumnetworkpolicies.cilium.io",
    "clusternetworkpolicies.crd.antrea.io",
    "clusternetworkpolicies.networking.k8s.aws",
    "clusternetworkpolicies.policy.networking.k8s.io",
    "egressfirewalls.k8s.ovn.org",
    "globalnetworkpolicies.crd.projectcalico.org",
    "globalnetworkpolicies.projectcalico.org",
    "networkpolicies.crd.antrea.io",
    "networkpolicies.crd.projectcalico.org",
    "networkpolicies.projectcalico.org",
];

/// Whether a CustomResourceDefinition of this name is such a kind.
#[must_use]
pub fn is_foreign(definition: &str) -> bool {
    KINDS.binary_search(&definition).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_and_nothing_else() {
        assert!(KINDS.is_sorted());
        assert!(KINDS.iter().all(|kind| is_foreign(kind)));
        for other in ["modeldeployments.sealroom.dev", "ciliumnodes.cilium.io", ""] {
            assert!(!is_foreign(other), "{other}");
        }
    }
}
