//! `sealroom status` and `sealroom pin` against a real API server.

use std::process::Output;

use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::api::server::{self, Server};

const NS: &str = "cli-status";
const HASH: &str = "sha256:5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9";

async fn sealroom(server: &Server, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealroom"))
        .args(args)
        .env("KUBECONFIG", server.kubeconfig())
        .output()
        .await
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// An object with a status.
async fn put(client: &Client, kind: &str, name: &str, spec: Value, status: Value) {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("sealroom.dev", "v1alpha1", kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NS, &kind);
    let object = json!({
        "apiVersion": kind.api_version, "kind": kind.kind,
        "metadata": {"name": name, "namespace": NS}, "spec": spec,
    });
    let params = PatchParams::apply("test");
    api.patch(name, &params, &Patch::Apply(object))
        .await
        .unwrap();
    let status = Patch::Merge(json!({ "status": status }));
    let params = PatchParams::default();
    api.patch_status(name, &params, &status).await.unwrap();
}

fn status(sealed: &str, reason: &str) -> Value {
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "because",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    json!({
        "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "tools": {"count": 2, "hash": HASH},
        "conditions": [condition("Ready", "True", "Succeeded"), condition("Sealed", sealed, reason)],
    })
}

#[tokio::test]
async fn people_see_what_holds_and_scripts_read_the_exit_code() {
    let Some(server) = server::with_rights().await else {
        return;
    };
    let client = server.client().await;
    server::namespace(&client, NS).await;
    let image = format!("registry.internal:5000/x@sha256:{}", "a".repeat(64));
    let nothing = sealroom(&server, &["status", "-n", NS]).await;
    let (code, text) = said(&nothing);
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with(
            "error: found no ModelDeployment and no McpServer in namespace cli-status"
        ),
        "{text}"
    );

    let model = json!({"artifact": {"image": image}, "runtime": {"engine": "LlamaCpp"}});
    let mut well = status("True", "NoEgress");
    well.as_object_mut().unwrap().remove("tools");
    put(&client, "ModelDeployment", "assistant", model, well).await;
    let spec = json!({
        "image": image, "transport": {"type": "Stdio", "stdio": {"command": ["/server"]}},
    });
    put(
        &client,
        "McpServer",
        "search",
        spec.clone(),
        status("False", "EgressOpen"),
    )
    .await;
    let mut silent = status("Unknown", "Proving");
    silent.as_object_mut().unwrap().remove("tools");
    put(&client, "McpServer", "silent", spec.clone(), silent).await;
    let mut away = status("True", "NoEgress");
    away["replicas"] = 0.into();
    put(&client, "McpServer", "away", spec, away).await;

    for (args, code, shown) in [
        (
            &["status", "-n", NS, "assistant"][..],
            0,
            "NoEgress: because",
        ),
        (&["status", "-n", NS, "silent"], 1, "Proving"),
        (&["status", "-n", NS], 6, "EgressOpen"),
        (&["status", "-A"], 6, "cli-status"),
        (
            &["status", "-n", NS, "-o", "json", "assistant"],
            0,
            "\"sealed\": true",
        ),
        (
            &["status", "-n", NS, "nobody"],
            1,
            "no McpServer named nobody in namespace cli-status",
        ),
        (
            &["status", "--kubeconfig", "/nowhere/at/all"],
            1,
            "--kubeconfig /nowhere/at/all",
        ),
        (&["status", "--context", "nowhere"], 1, "--context nowhere"),
        (&["pin", "-n", NS, "search"], 0, HASH),
        (
            &["pin", "-n", NS, "silent"],
            1,
            "the tools of cli-status/silent: no pod has listed them yet",
        ),
        (&["pin", "-n", NS, "away"], 1, "no pod runs"),
        (
            &["pin", "-n", NS, "nobody"],
            1,
            "kubectl get modeldeployments",
        ),
        (&["pin"], 2, "--file"),
    ] {
        let (told, text) = said(&sealroom(&server, args).await);
        assert_eq!(told, Some(code), "{args:?}: {text}");
        assert!(text.contains(shown), "{args:?}: {text}");
    }
}
