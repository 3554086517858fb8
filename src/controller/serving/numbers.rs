//! Pods, as a Deployment counts them; pure.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};

use crate::api::Reason;
use crate::controller::conditions::Truth;

/// How many pods there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// All of them.
    pub there: i32,
    /// Those that serve.
    pub ready: i32,
    /// Those of the newest template.
    pub updated: i32,
    /// The Deployment has what we applied and all its pods are of it and ready.
    pub complete: bool,
}

impl Numbers {
    /// Of a Deployment that is to have `wanted` pods.
    #[must_use]
    pub fn of(wanted: i32, deployment: Option<&Deployment>) -> Self {
        let Some(deployment) = deployment else {
            return Self::default();
        };
        let status: DeploymentStatus = deployment.status.clone().unwrap_or_default();
        let number = |n: Option<i32>| n.unwrap_or_default();
        let [there, ready, updated] = [
            status.replicas,
            status.ready_replicas,
            status.updated_replicas,
        ]
        .map(number);
        let current = status.observed_generation >= deployment.metadata.generation
            && deployment.spec.as_ref().and_then(|spec| spec.replicas) == Some(wanted);
        Self {
            there,
            ready,
            updated,
            complete: current && there == wanted && ready == wanted && updated == wanted,
        }
    }

    /// The condition `Available` of an object that asks for `wanted` pods.
    #[must_use]
    pub fn available(&self, wanted: i32) -> (Truth, Reason, String) {
        if self.ready > 0 {
            (Truth::True, Reason::Serving, String::new())
        } else if wanted == 0 {
            (Truth::False, Reason::ScaledToZero, String::new())
        } else {
            (Truth::False, Reason::NoPodServes, String::new())
        }
    }

    /// What a rollout to `wanted` pods has come to.
    #[must_use]
    pub fn rolling_out(&self, wanted: i32) -> String {
        format!(
            "{} of {wanted} pods are of this generation, {} serve",
            self.updated, self.ready
        )
    }
}
