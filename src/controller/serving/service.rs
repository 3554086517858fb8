//! The address of the pods; pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ClientIPConfig, Service, ServicePort, ServiceSpec, SessionAffinityConfig,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Resource, ResourceExt};

use super::access::scheme;
use crate::api::model_deployment::{Access, Rollout, RolloutType};
use crate::controller::names::child_meta;

/// The gate's port for clients.
pub const PORT: i32 = 8080;
/// Least and most seconds for which an address is led to the same pod: what Kubernetes takes where nothing is written,
/// and the most that it lets be written. The time begins anew with each connection, and not with what passes over one,
/// so that a session whose connection was kept needs more of it than it may be idle.
const SAME_POD: [u32; 2] = [10_800, 86_400];

/// The Service that leads clients to the pods of this selector; its name is the owner's.
///
/// `lone` is a pod that nobody stands in for, see [`lone`]: the Service leads to it before and after it is ready, so
/// that its gate can tell clients to try again.
#[must_use]
pub fn build<K: Resource<DynamicType = ()>>(
    owner: &K,
    component: &str,
    selector: BTreeMap<String, String>,
    access: &Access,
    lone: bool,
) -> Service {
    let port = |name: &str, number| ServicePort {
        name: Some(name.to_owned()),
        port: number,
        target_port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    // A mesh or an ingress in front learns from it what to speak.
    let clients = ServicePort {
        app_protocol: access.tls.as_ref().map(|_| "https".to_owned()),
        ..port(scheme(access), PORT)
    };
    Service {
        metadata: child_meta(owner, owner.name_any(), component),
        spec: Some(ServiceSpec {
            selector: Some(selector),
            ports: Some(vec![clients, port("metrics", 8082)]),
            publish_not_ready_addresses: lone.then_some(true),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The same Service, which leads whoever comes from one address to one pod, for what a pod remembers of its clients
/// for so many seconds.
#[must_use]
pub fn same_pod(mut service: Service, idle_seconds: u32) -> Service {
    let [least, most] = SAME_POD;
    if let Some(spec) = &mut service.spec {
        spec.session_affinity = Some("ClientIP".to_owned());
        spec.session_affinity_config = Some(SessionAffinityConfig {
            client_ip: Some(ClientIPConfig {
                timeout_seconds: i32::try_from(idle_seconds.clamp(least, most)).ok(),
            }),
        });
    }
    service
}

/// Whether one pod is all that there ever is: a rollout ends it before the next one begins.
#[must_use]
pub fn lone(rollout: &Rollout, replicas: i32) -> bool {
    rollout.rollout_type == RolloutType::Recreate && replicas <= 1
}

/// Where clients inside the cluster find this path.
#[must_use]
pub fn url<K: Resource<DynamicType = ()>>(owner: &K, access: &Access, path: &str) -> String {
    let namespace = owner.namespace().unwrap_or_default();
    let (scheme, name) = (scheme(access), owner.name_any());
    format!("{scheme}://{name}.{namespace}.svc:{PORT}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::one_after_the_other(RolloutType::Recreate, 1, true)]
    #[case::none_for_now(RolloutType::Recreate, 0, true)]
    #[case::another_may_serve(RolloutType::Recreate, 2, false)]
    #[case::the_old_one_serves(RolloutType::RollingUpdate, 1, false)]
    fn a_lone_pod(
        #[case] rollout_type: RolloutType,
        #[case] replicas: i32,
        #[case] expected: bool,
    ) {
        assert_eq!(lone(&Rollout { rollout_type }, replicas), expected);
    }

    #[rstest::rstest]
    #[case::at_least_what_kubernetes_takes(600, 10_800)]
    #[case::as_long_as_a_session(40_000, 40_000)]
    #[case::at_most_a_day(100_000, 86_400)]
    fn an_address_is_led_to_one_pod(#[case] idle_seconds: u32, #[case] expected: i32) {
        let service = Service {
            spec: Some(ServiceSpec::default()),
            ..Service::default()
        };
        let spec = same_pod(service, idle_seconds).spec.unwrap();
        assert_eq!(spec.session_affinity.as_deref(), Some("ClientIP"));
        let config = spec.session_affinity_config.unwrap().client_ip.unwrap();
        assert_eq!(config.timeout_seconds, Some(expected));
    }
}
