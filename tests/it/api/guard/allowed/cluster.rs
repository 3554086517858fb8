//! Controllers, the scheduler, kubelets and network plugins, each with the rights that the cluster gives it.

use serde_json::json;

use super::{Row, apps, core, renamed};
use crate::api::guard::attempt::{Call, Who};
use crate::api::guard::world::{TEAM, World};

/// The attempts.
pub fn table(world: &World) -> Vec<Row> {
    use Who::{Controller, Kubelet, Plugin, Scheduler};
    let pods = format!("/api/v1/namespaces/{TEAM}/pods");
    let serving = core("pods", "assistant-1");
    let status = format!("{serving}/status");
    let owner = json!({ "metadata": { "ownerReferences": [{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "assistant-1", "uid": "u", "controller": true }] } });
    let tracked = json!({ "metadata": { "finalizers": ["batch.kubernetes.io/job-tracking"] } });
    let condition =
        |kind: &str| json!({ "status": { "conditions": [{ "type": kind, "status": "True" }] } });
    let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "assistant-1" },
        "target": { "apiVersion": "v1", "kind": "Node", "name": "node-1" } });
    let address =
        json!({ "metadata": { "annotations": { "cni.projectcalico.org/podIP": "10.0.0.1/32" } } });
    let mut deployment = world.there("Deployment", "assistant");
    deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1".into();
    let replica_sets = format!("/apis/apps/v1/namespaces/{TEAM}/replicasets");
    let ours = apps("deployments", "assistant");
    let job = format!(
        "/apis/batch/v1/namespaces/{TEAM}/jobs/{}",
        world.name("Job", "-plan-")
    );
    let artifact = format!(
        "/apis/sealroom.dev/v1alpha1/namespaces/{TEAM}/modelartifacts/{}",
        world.name("ModelArtifact", "")
    );
    let foreground = json!({ "metadata": { "finalizers": ["foregroundDeletion"] } });
    let collector = Controller("generic-garbage-collector");
    vec![
        (
            Controller("replicaset-controller"),
            "makes a serving pod",
            Call::create(&pods, renamed(&world.serving, "assistant-2")),
        ),
        (
            Controller("replicaset-controller"),
            "adopts a pod",
            Call::strategic(&serving, owner),
        ),
        (
            Controller("job-controller"),
            "makes a pulling pod",
            Call::create(&pods, renamed(&world.pulling, "pull-2")),
        ),
        (
            Controller("job-controller"),
            "tracks a pod",
            Call::strategic(&core("pods", "pull-1"), tracked),
        ),
        (
            Controller("deployment-controller"),
            "numbers the revision",
            Call::replace(&ours, deployment),
        ),
        (
            Controller("deployment-controller"),
            "makes a ReplicaSet",
            Call::create(&replica_sets, renamed(&world.replica_set, "assistant-2")),
        ),
        (
            Controller("deployment-controller"),
            "scales a ReplicaSet",
            Call::merge(
                &apps("replicasets", "assistant-1"),
                json!({ "spec": { "replicas": 0 } }),
            ),
        ),
        (
            Controller("ttl-after-finished-controller"),
            "deletes a Job that is over",
            Call::delete(&job),
        ),
        (
            Controller("pod-garbage-collector"),
            "deletes a pod of a lost node",
            Call::delete(&serving),
        ),
        (collector, "deletes what has no owner", Call::delete(&ours)),
        (
            collector,
            "waits for children",
            Call::merge(&ours, foreground.clone()),
        ),
        (
            collector,
            "deletes an artifact without owners",
            Call::delete(&artifact),
        ),
        (
            collector,
            "waits for an artifact's children",
            Call::merge(&artifact, foreground),
        ),
        (
            Controller("namespace-controller"),
            "empties a namespace",
            Call::delete(core("services", "").trim_end_matches('/')),
        ),
        (
            Scheduler,
            "places a pod",
            Call::create(&format!("{serving}/binding"), binding),
        ),
        (
            Scheduler,
            "says why it cannot",
            Call::strategic(&status, condition("PodScheduled")),
        ),
        (
            Kubelet,
            "says that containers are ready",
            Call::strategic(&status, condition("ContainersReady")),
        ),
        (
            Plugin,
            "writes an address with the status",
            Call::merge(&status, address.clone()),
        ),
        (Plugin, "writes an address", Call::merge(&serving, address)),
    ]
}
