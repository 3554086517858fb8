//! The operator, and what binds and keeps its claims.

use serde_json::{Value, json};

use super::{Row, apps, core};
use crate::api::guard::attempt::{Call, Who};
use crate::api::guard::world::{TEAM, World};

/// The attempts.
pub fn table(world: &World) -> Vec<Row> {
    use Who::Operator;
    let ours = format!("/apis/sealroom.dev/v1alpha1/namespaces/{TEAM}");
    let artifact = world.name("ModelArtifact", "");
    let policies = format!("/apis/networking.k8s.io/v1/namespaces/{TEAM}/networkpolicies");
    let mut another = world.there("ModelArtifact", &artifact);
    another["metadata"] = json!({ "name": "another" });
    let artifact = format!("{ours}/modelartifacts/{artifact}");
    let proven = json!({ "status": { "conditions": [{ "type": "sealroom.dev/sealed", "status": "True" }] } });
    let label = json!({ "metadata": { "labels": { "app.kubernetes.io/part-of": "assistant" } } });
    let status = json!({ "status": { "verified": true } });
    let url = json!({ "status": { "url": "http://assistant.team-a.svc:8080/v1" } });
    vec![
        (
            Operator,
            "says that a pod is proven",
            Call::strategic(&format!("{}/status", core("pods", "assistant-1")), proven),
        ),
        (
            Operator,
            "deletes a pod that was open",
            Call::delete(&core("pods", "assistant-1")),
        ),
        (
            Operator,
            "changes the Deployment",
            Call::merge(&apps("deployments", "assistant"), label.clone()),
        ),
        (
            Operator,
            "puts a policy right",
            Call::merge(&format!("{policies}/sealroom-sealed"), label.clone()),
        ),
        (
            Operator,
            "deletes a policy",
            Call::delete(&format!("{policies}/sealroom-sealed")),
        ),
        (
            Operator,
            "changes the Service",
            Call::merge(&core("services", "assistant"), label),
        ),
        (
            Operator,
            "makes a ModelArtifact",
            Call::create(&format!("{ours}/modelartifacts"), another),
        ),
        (Operator, "deletes a ModelArtifact", Call::delete(&artifact)),
        (
            Operator,
            "says that an artifact is verified",
            Call::merge(&format!("{artifact}/status"), status),
        ),
        (
            Operator,
            "says where a model is",
            Call::merge(
                &format!("{ours}/modeldeployments/assistant/status"),
                url.clone(),
            ),
        ),
        (
            Operator,
            "says where an MCP server is",
            Call::merge(&format!("{ours}/mcpservers/search/status"), url),
        ),
    ]
}

/// What storage does with the claim.
pub fn storage(world: &World) -> Vec<Row> {
    let name = world.name("PersistentVolumeClaim", "");
    let claim = core("persistentvolumeclaims", &name);
    let there = |change: &dyn Fn(&mut Value)| {
        let mut object = world.there("PersistentVolumeClaim", &name);
        change(&mut object);
        Call::replace(&claim, object)
    };
    let node = json!({ "metadata": { "annotations": { "volume.kubernetes.io/selected-node": "node-1" } } });
    vec![
        (
            Who::Scheduler,
            "chooses a node for the volume",
            Call::merge(&claim, node),
        ),
        (
            Who::Controller("persistent-volume-binder"),
            "binds the claim",
            there(&|claim| claim["spec"]["volumeName"] = "volume-1".into()),
        ),
        (
            Who::Controller("pvc-protection-controller"),
            "lets the claim go",
            there(&|claim| claim["metadata"]["finalizers"] = json!([])),
        ),
        (
            Who::Controller("generic-garbage-collector"),
            "deletes the claim",
            Call::delete(&claim),
        ),
    ]
}
