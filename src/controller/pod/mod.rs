//! What all pods that we make have in common: they pass the restricted Pod Security Standard, have no DNS,
//! no token and no service links.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, EmptyDirVolumeSource, LocalObjectReference, PodAffinity,
    PodAffinityTerm, PodDNSConfig, PodSecurityContext, PodSpec, ResourceRequirements,
    SeccompProfile, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::config::Config;
use crate::api::Scheduling;

const USER: i64 = 65_532;

/// A pod without containers. `shared` is the label, key and value, of the pods whose volumes one node has at a time.
#[must_use]
pub fn base(config: &Config, scheduling: &Scheduling, shared: Option<(&str, &str)>) -> PodSpec {
    let secrets = config.image_pull_secrets.iter();
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        // A sealed pod asks nobody for names. The address is its own: queries end there.
        dns_policy: Some("None".to_owned()),
        dns_config: Some(PodDNSConfig {
            nameservers: Some(vec!["127.0.0.1".to_owned()]),
            ..PodDNSConfig::default()
        }),
        image_pull_secrets: (!config.image_pull_secrets.is_empty()).then(|| {
            secrets
                .map(|name| LocalObjectReference { name: name.clone() })
                .collect()
        }),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        node_selector: (!scheduling.node_selector.is_empty())
            .then(|| scheduling.node_selector.clone()),
        tolerations: (!scheduling.tolerations.is_empty()).then(|| scheduling.tolerations.clone()),
        affinity: affinity(scheduling, shared),
        ..PodSpec::default()
    }
}

/// What the scheduler and the kubelet are told of pods that serve, beside where they may run.
pub fn schedule(pod: &mut PodSpec, scheduling: &Scheduling, selector: &BTreeMap<String, String>) {
    pod.runtime_class_name
        .clone_from(&scheduling.runtime_class_name);
    pod.priority_class_name
        .clone_from(&scheduling.priority_class_name);
    let spread = scheduling.topology_spread.iter();
    let spread: Vec<_> = spread
        .map(|spread| TopologySpreadConstraint {
            topology_key: spread.topology_key.clone(),
            max_skew: spread.max_skew,
            when_unsatisfiable: spread.when_unsatisfiable.as_str().to_owned(),
            label_selector: Some(LabelSelector {
                match_labels: Some(selector.clone()),
                ..LabelSelector::default()
            }),
            // A rollout is spread by itself, whatever still runs of the generation before.
            match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
            ..TopologySpreadConstraint::default()
        })
        .collect();
    pod.topology_spread_constraints = (!spread.is_empty()).then_some(spread);
}

/// Further groups of a pod's processes, such as those that own a device's file.
pub fn join(pod: &mut PodSpec, groups: &[i64]) {
    if let (Some(context), false) = (&mut pod.security_context, groups.is_empty()) {
        context.supplemental_groups = Some(groups.to_vec());
    }
}

/// With ReadWriteOnce all pods of a volume run where it is attached. The first pod meets the term by itself
/// (inter-pod affinity, "special case").
fn affinity(scheduling: &Scheduling, shared: Option<(&str, &str)>) -> Option<Affinity> {
    let together = shared.map(|(key, value)| PodAffinity {
        required_during_scheduling_ignored_during_execution: Some(vec![PodAffinityTerm {
            label_selector: Some(LabelSelector {
                match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
                ..LabelSelector::default()
            }),
            topology_key: "kubernetes.io/hostname".to_owned(),
            ..PodAffinityTerm::default()
        }]),
        ..PodAffinity::default()
    });
    (together.is_some() || scheduling.node_affinity.is_some()).then(|| Affinity {
        node_affinity: scheduling.node_affinity.clone(),
        pod_affinity: together,
        pod_anti_affinity: None,
    })
}

/// A container that can do nothing but run.
#[must_use]
pub fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

/// Requests and limits of one of our own containers.
#[must_use]
pub fn resources(
    requests: [(&str, &str); 2],
    limits: [(&str, &str); 2],
) -> Option<ResourceRequirements> {
    let map = |pairs: [(&str, &str); 2]| -> BTreeMap<String, Quantity> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Quantity((*value).to_owned())))
            .collect()
    };
    Some(ResourceRequirements {
        requests: Some(map(requests)),
        limits: Some(map(limits)),
        claims: None,
    })
}

/// An empty directory of bounded size.
#[must_use]
pub fn scratch(name: &str, size: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(size.to_owned())),
            medium: None,
        }),
        ..Volume::default()
    }
}

/// A mount.
#[must_use]
pub fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}
