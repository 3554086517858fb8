//! The end of the pods of a Deployment of which nothing else can be said.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::error::fault;
use super::ours::belongs;
use super::{Applier, ApplyError};
use crate::controller::names::{APPLIED, MANAGER};

impl Applier {
    /// Ends the pods of a Deployment of which nothing else can be said. Applying takes the field back. Pods of somebody
    /// else's are none of the owner's.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing was written then.
    pub async fn halt(&self, there: &Deployment, owner: &str) -> Result<(), ApplyError> {
        let spec = there.spec.as_ref();
        if spec.is_some_and(|spec| spec.replicas == Some(0)) || !belongs(there, owner) {
            return Ok(());
        }
        let body = halted(there);
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(there);
        let (name, patch) = (there.name_any(), Patch::Merge(&body));
        match api.patch(&name, &params, &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(fault(there, source)),
        }
    }
}

/// No pods, and nothing of it was applied: what differs from now on is nobody else's change.
fn halted(there: &Deployment) -> Value {
    json!({
        "metadata": {"uid": there.uid(), "annotations": {APPLIED: null}},
        "spec": {"replicas": 0},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the replicas come back, what we ourselves took away is no change of somebody's.
    #[test]
    fn a_halt_takes_the_hash_along() {
        let mut there = Deployment::default();
        there.metadata.uid = Some("u".to_owned());
        let body = halted(&there);
        let annotations = &body["metadata"]["annotations"];
        // In a merge patch (RFC 7396) null removes, and what is left out stays.
        assert_eq!(annotations.get(APPLIED), Some(&Value::Null));
        assert_eq!(body["metadata"]["uid"], "u");
        assert_eq!(body["spec"], json!({ "replicas": 0 }));
    }
}
