//! The few things that the driver writes to the API server.

use std::future::Future;

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};
use serde_json::json;

use super::planner::{PodCondition, Reason};

/// Who owns the fields that are written.
const MANAGER: &str = "sealroom";
/// The readiness gate of sealed pods.
pub const CONDITION: &str = "sealroom.dev/sealed";
/// Seconds that an open pod has to end, at most.
const GRACE: u32 = 10;

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The pod is gone or another one has its name: there is nothing left to do.
    #[error("the pod is gone")]
    Gone,
    /// Anything else: worth another try.
    #[error("failed to write to the API server: {0}")]
    Api(#[source] Box<kube::Error>),
}

/// What the driver writes. Tests have one that remembers.
pub trait Cluster: Clone + Send + Sync + 'static {
    /// Sets the readiness condition of one pod.
    fn condition(
        &self,
        condition: PodCondition,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;
    /// Deletes the pod with this UID, which has `grace` seconds to end when anybody else deletes it.
    fn delete(
        &self,
        namespace: String,
        name: String,
        uid: String,
        grace: Option<i64>,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;
    /// Tells an object's owner that a pod was seen open.
    fn event(
        &self,
        regarding: ObjectReference,
        reason: Reason,
        note: String,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;
}

/// A real cluster.
#[derive(Clone)]
pub struct KubeCluster {
    client: Client,
    recorder: Recorder,
}

impl KubeCluster {
    /// Writes through this client; `instance` is the operator's pod name, for Events.
    #[must_use]
    pub fn new(client: Client, instance: Option<String>) -> Self {
        let reporter = Reporter {
            controller: "sealroom-operator".to_owned(),
            instance,
        };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, recorder }
    }

    fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// The body of a server-side apply that owns one condition and names the UID, so that a pod that took the
/// name over is refused.
fn body(condition: &PodCondition, now: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": condition.name, "uid": condition.uid },
        "status": { "conditions": [{
            "type": CONDITION,
            "status": if condition.ready { "True" } else { "False" },
            "reason": condition.reason.as_str(),
            "message": condition.message,
            "lastTransitionTime": condition.since.as_deref().unwrap_or(now),
        }] },
    })
}

/// Gives the pod its own time to end, and an open one no more than [`GRACE`]: a gate that knows of the opening has cut
/// what it served, and what any other still serves must end soon. No less than a second either, since with none the API
/// forgets a pod whose containers still run.
fn deletion(uid: String, own: Option<i64>) -> DeleteParams {
    let own = own.map_or(GRACE, |own| u32::try_from(own.max(1)).unwrap_or(GRACE));
    let params = DeleteParams::default().grace_period(own.min(GRACE));
    params.preconditions(Preconditions {
        uid: Some(uid),
        resource_version: None,
    })
}

fn failed(error: kube::Error) -> ClusterError {
    match &error {
        kube::Error::Api(status) if status.is_not_found() || status.is_conflict() => {
            ClusterError::Gone
        }
        _ => ClusterError::Api(Box::new(error)),
    }
}

impl Cluster for KubeCluster {
    async fn condition(&self, condition: PodCondition) -> Result<(), ClusterError> {
        // The API's times have seconds and no fraction.
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let params = PatchParams::apply(MANAGER).force();
        let body = Patch::Apply(body(&condition, &now));
        let pods = self.pods(&condition.namespace);
        let done = pods.patch_status(&condition.name, &params, &body).await;
        done.map(drop).map_err(failed)
    }

    async fn delete(
        &self,
        namespace: String,
        name: String,
        uid: String,
        grace: Option<i64>,
    ) -> Result<(), ClusterError> {
        let params = deletion(uid, grace);
        let done = self.pods(&namespace).delete(&name, &params).await;
        done.map(drop).map_err(failed)
    }

    async fn event(
        &self,
        regarding: ObjectReference,
        reason: Reason,
        note: String,
    ) -> Result<(), ClusterError> {
        let event = Event {
            type_: EventType::Warning,
            reason: reason.as_str().to_owned(),
            note: Some(note),
            action: "Close".to_owned(),
            secondary: None,
        };
        self.recorder
            .publish(&event, &regarding)
            .await
            .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::a_long_drain_is_cut(Some(120), 10)]
    #[case::a_short_one_stays(Some(3), 3)]
    #[case::never_none_at_all(Some(0), 1)]
    #[case::longer_than_any(Some(i64::MAX), 10)]
    #[case::nothing_said(None, 10)]
    fn an_open_pod_has_its_own_time_to_end_and_no_more_than_ten_seconds(
        #[case] own: Option<i64>,
        #[case] expected: u32,
    ) {
        let params = deletion("u".to_owned(), own);
        assert_eq!(params.grace_period_seconds, Some(expected));
        let only = params.preconditions.and_then(|only| only.uid);
        assert_eq!(only.as_deref(), Some("u"));
    }

    #[test]
    fn the_applied_body_owns_one_condition_of_one_uid() {
        let condition = PodCondition {
            namespace: "team-a".to_owned(),
            name: "assistant-0".to_owned(),
            uid: "u".to_owned(),
            ready: false,
            reason: Reason::PolicyWidens,
            message: "m".to_owned(),
            since: None,
        };
        let expected = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "assistant-0", "uid": "u" },
            "status": { "conditions": [{
                "type": "sealroom.dev/sealed", "status": "False", "reason": "PolicyWidens",
                "message": "m", "lastTransitionTime": "2026-11-23T10:00:00Z",
            }] },
        });
        assert_eq!(body(&condition, "2026-11-23T10:00:00Z"), expected);
        let since = Some("2026-01-01T00:00:00Z".to_owned());
        let kept = body(&PodCondition { since, ..condition }, "2026-11-23T10:00:00Z");
        let time = &kept["status"]["conditions"][0]["lastTransitionTime"];
        assert_eq!(time, "2026-01-01T00:00:00Z");
    }
}
