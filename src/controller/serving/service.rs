//! The address of the pods; pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Resource, ResourceExt};

use super::access::scheme;
use crate::api::model_deployment::{Access, Rollout, RolloutType};
use crate::controller::names::child_meta;

/// The gate's port for clients.
pub const PORT: i32 = 8080;

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
}
