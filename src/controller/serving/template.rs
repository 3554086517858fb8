//! What Deployments of serving pods have in common.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{PodReadinessGate, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::edge::labelled;
use crate::api::model_deployment::RolloutType;
use crate::controller::names::READINESS_GATE;

/// A Deployment of so many pods.
#[must_use]
pub fn deployment(
    replicas: i32,
    selector: &BTreeMap<String, String>,
    rollout: RolloutType,
    template: PodTemplateSpec,
) -> DeploymentSpec {
    DeploymentSpec {
        replicas: Some(replicas),
        revision_history_limit: Some(3),
        // Waiting for the seal is no failure: the deadline is the largest there is, which means none.
        progress_deadline_seconds: Some(i32::MAX),
        selector: labelled(selector),
        strategy: Some(strategy(rollout)),
        template,
        ..DeploymentSpec::default()
    }
}

fn strategy(rollout: RolloutType) -> DeploymentStrategy {
    match rollout {
        RolloutType::Recreate => DeploymentStrategy {
            type_: Some("Recreate".to_owned()),
            rolling_update: None,
        },
        RolloutType::RollingUpdate => DeploymentStrategy {
            type_: Some("RollingUpdate".to_owned()),
            // The old pods serve until the new ones are proven.
            rolling_update: Some(RollingUpdateDeployment {
                max_surge: Some(IntOrString::Int(1)),
                max_unavailable: Some(IntOrString::Int(0)),
            }),
        },
    }
}

/// What makes the kubelet wait for both proofs.
#[must_use]
pub fn readiness_gates() -> Vec<PodReadinessGate> {
    vec![PodReadinessGate {
        condition_type: READINESS_GATE.to_owned(),
    }]
}
