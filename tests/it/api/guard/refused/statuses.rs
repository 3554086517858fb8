//! What only the operator says.

use serde_json::json;

use super::Row;
use crate::api::guard::attempt::{Call, Who};
use crate::api::guard::world::{TEAM, World};

const SAID: &str = "what Sealroom's operator says";

/// The attempts.
pub fn table(world: &World) -> Vec<Row> {
    use Who::{Kubelet, Lead, Plugin};
    let pod = format!("/api/v1/namespaces/{TEAM}/pods/assistant-1/status");
    let forged = json!({ "status": { "conditions": [{ "type": "sealroom.dev/sealed", "status": "True" }] } });
    let only = "Only Sealroom's operator writes it";
    let unlabelled = json!({ "metadata": { "labels": { "sealroom.dev/sealed": null } } });
    let ended = json!({ "status": { "containerStatuses": [{ "name": "pull", "image": "i", "imageID": "i", "ready": false,
        "restartCount": 0, "state": { "terminated": { "exitCode": 0, "message": "{\"v\":1}" } } }] } });
    let pull = format!("/api/v1/namespaces/{TEAM}/pods/pull-1/status");
    let ours = format!("/apis/sealroom.dev/v1alpha1/namespaces/{TEAM}");
    let artifact = world.name("ModelArtifact", "smollm2");
    let mut another = world.there("ModelArtifact", &artifact);
    another["metadata"] = json!({ "name": "another" });
    let artifact = format!("{ours}/modelartifacts/{artifact}");
    let verified = json!({ "status": { "verified": true } });
    let url = json!({ "status": { "url": "http://elsewhere/v1" } });
    let secrets = json!({ "spec": { "pullSecrets": [{ "name": "other" }] } });
    vec![
        (
            Lead,
            "says that a pod is proven",
            Call::strategic(&pod, forged.clone()),
            only,
        ),
        (
            Kubelet,
            "says that a pod is proven",
            Call::strategic(&pod, forged.clone()),
            only,
        ),
        (
            Plugin,
            "says that a pod is proven",
            Call::strategic(&pod, forged),
            only,
        ),
        (
            Lead,
            "takes the label with a status",
            Call::merge(&pod, unlabelled.clone()),
            "do not change with its status",
        ),
        (
            Plugin,
            "takes the label with a status",
            Call::merge(&pod, unlabelled),
            "do not change with its status",
        ),
        (
            Lead,
            "says that a pull ended well",
            Call::merge(&pull, ended),
            "written by its node",
        ),
        (
            Lead,
            "makes a ModelArtifact",
            Call::create(&format!("{ours}/modelartifacts"), another),
            SAID,
        ),
        (
            Lead,
            "changes a ModelArtifact",
            Call::merge(&artifact, secrets),
            SAID,
        ),
        (
            Lead,
            "deletes a ModelArtifact",
            Call::delete(&artifact),
            SAID,
        ),
        (
            Lead,
            "says that an artifact is verified",
            Call::merge(&format!("{artifact}/status"), verified),
            SAID,
        ),
        (
            Lead,
            "says where a model is",
            Call::merge(
                &format!("{ours}/modeldeployments/assistant/status"),
                url.clone(),
            ),
            SAID,
        ),
        (
            Lead,
            "says where an MCP server is",
            Call::merge(&format!("{ours}/mcpservers/search/status"), url),
            SAID,
        ),
    ]
}
