//! What is theirs stays theirs, also beside the label of the guard.

use serde_json::json;

use super::{Row, apps, core, renamed};
use crate::api::guard::attempt::{Call, Who};
use crate::api::guard::world::{CLOSED, IMAGE, TEAM, World, plain};

/// The attempts.
pub fn table(world: &World) -> Vec<Row> {
    use Who::{Admin, Lead, Tenant};
    let pods = |namespace: &str| format!("/api/v1/namespaces/{namespace}/pods");
    let template = json!({ "metadata": { "labels": { "app": "own" } },
        "spec": { "containers": [{ "name": "own", "image": IMAGE }] } });
    let deployment = json!({ "metadata": { "name": "own" },
        "spec": { "selector": { "matchLabels": { "app": "own" } }, "template": template } });
    let policy = json!({ "metadata": { "name": "mine" }, "spec": { "podSelector": {} } });
    let policies = format!("/apis/networking.k8s.io/v1/namespaces/{TEAM}/networkpolicies");
    let model = format!("/apis/sealroom.dev/v1alpha1/namespaces/{TEAM}/modeldeployments/assistant");
    let labels = json!({ "metadata": { "labels": { "app": "chat" } } });
    let debug = json!({ "spec": { "ephemeralContainers": [{ "name": "debug", "image": IMAGE }] } });
    let mut mounting = plain(CLOSED);
    mounting["metadata"]["name"] = "mounting".into();
    mounting["spec"]["volumes"] =
        json!([{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }]);
    let serving = core("pods", "assistant-1");
    let off = json!({ "metadata": { "labels": { "sealroom.dev/sealed": null } } });
    let exec = |namespace: &str| {
        Call::connect(&format!(
            "{}/own/exec?command=id&stdout=true",
            pods(namespace)
        ))
    };
    vec![
        (
            Tenant,
            "makes a pod",
            Call::create(&pods(TEAM), renamed(&plain(TEAM), "mine")),
        ),
        (
            Tenant,
            "makes a pod that mounts its own claim",
            Call::create(&pods(CLOSED), mounting),
        ),
        (
            Tenant,
            "labels its pod",
            Call::merge(&core("pods", "own"), labels),
        ),
        (
            Tenant,
            "makes a Deployment",
            Call::create(apps("deployments", "").trim_end_matches('/'), deployment),
        ),
        (Tenant, "makes a policy", Call::create(&policies, policy)),
        (
            Tenant,
            "deletes its policy",
            Call::delete(&format!("{policies}/own")),
        ),
        (
            Tenant,
            "has a serving pod made anew",
            Call::delete(&serving),
        ),
        (
            Tenant,
            "scales the model",
            Call::merge(
                &format!("{model}/scale"),
                json!({ "spec": { "replicas": 2 } }),
            ),
        ),
        (
            Tenant,
            "changes the model",
            Call::merge(&model, json!({ "spec": { "drainSeconds": 60 } })),
        ),
        (Tenant, "deletes the model", Call::delete(&model)),
        (Tenant, "execs where nobody asked for more", exec(TEAM)),
        (
            Lead,
            "debugs its pod there",
            Call::strategic(
                &format!("{}/ephemeralcontainers", core("pods", "own")),
                debug,
            ),
        ),
        (Admin, "repairs a pod", Call::merge(&serving, off)),
        (
            Admin,
            "repairs the Deployment",
            Call::delete(&apps("deployments", "assistant")),
        ),
        (
            Admin,
            "repairs a ModelArtifact",
            Call::delete(&format!(
                "/apis/sealroom.dev/v1alpha1/namespaces/{TEAM}/modelartifacts/{}",
                world.name("ModelArtifact", "")
            )),
        ),
        (Admin, "execs in a sealed namespace", exec(CLOSED)),
    ]
}
