//! McpServers beside a model that serves: edges on both sides, and what the status says about them.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use sealroom::api::{McpServer, ModelDeployment};
use serde_json::{Value, json};

use super::operator::{ours, until};
use super::server::{self, Server};
use super::{kubelet, mcp_missing};

const DIGEST: &str = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

pub fn object(name: &str, models: Value) -> McpServer {
    serde_json::from_value(json!({
        "apiVersion": "sealroom.dev/v1alpha1", "kind": "McpServer", "metadata": { "name": name },
        "spec": {
            "image": format!("registry.internal:5000/search@{DIGEST}"),
            "transport": { "type": "Stdio", "stdio": { "command": ["node", "/app/server.js"] } },
            "models": models,
            "access": { "from": [{ "podSelector": { "matchLabels": { "app": "agent" } } }] },
        },
    }))
    .unwrap()
}

pub async fn condition(api: &Api<McpServer>, name: &str, kind: &str, reason: &str) -> String {
    until(&format!("{name}: {kind} {reason}"), || async {
        let status = api.get(name).await.unwrap().status?;
        let found = status.conditions.into_iter().find(|c| c.type_ == kind)?;
        (found.reason == reason).then_some(found.message)
    })
    .await
}

/// The rules of a policy in one direction, once they satisfy.
async fn rules(
    client: &Client,
    namespace: &str,
    name: &str,
    direction: &str,
    fine: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let api: Api<NetworkPolicy> = Api::namespaced(client.clone(), namespace);
    until(&format!("{direction} of {namespace}/{name}"), || async {
        let policy = api.get_opt(name).await.unwrap()?;
        let spec = serde_json::to_value(policy.spec).unwrap();
        // The API server leaves empty lists out.
        let rules = spec[direction].as_array().cloned().unwrap_or_default();
        fine(&rules).then_some(rules)
    })
    .await
}

/// Beside `assistant` of `team-a`, which serves. Leaves `records` of `tools` there, bound to it.
pub async fn beside_a_model(client: &Client, server: &Server) {
    server::namespace(client, "tools").await;
    let near: Api<McpServer> = Api::namespaced(client.clone(), "team-a");
    let far: Api<McpServer> = Api::namespaced(client.clone(), "tools");
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let post = PostParams::default();
    let model = models.get("assistant").await.unwrap().uid().unwrap();
    let before = rules(
        client,
        "team-a",
        "sealroom-edge-assistant",
        "ingress",
        |_| true,
    )
    .await
    .len();

    // In the model's namespace the operator opens both sides.
    let named = json!([{ "modelDeploymentRef": { "name": "assistant" } }]);
    let made = near.create(&post, &object("search", named)).await.unwrap();
    let uid = made.uid().unwrap();
    condition(&near, "search", "ModelsBound", "Bound").await;
    let out = rules(
        client,
        "team-a",
        "sealroom-edge-search",
        "egress",
        |rules| rules.len() == 1,
    )
    .await;
    let peer = &out[0]["to"][0];
    assert_eq!(
        peer["podSelector"]["matchLabels"],
        json!({ "sealroom.dev/owner-uid": model })
    );
    let own = json!({ "kubernetes.io/metadata.name": "team-a" });
    assert_eq!(peer["namespaceSelector"]["matchLabels"], own);
    let into = rules(
        client,
        "team-a",
        "sealroom-edge-assistant",
        "ingress",
        |rules| rules.len() == before + 1,
    )
    .await;
    let peer = &into[before]["from"][0]["podSelector"]["matchLabels"];
    assert_eq!(*peer, json!({ "sealroom.dev/owner-uid": uid }));
    until("the way in among the model's exits", || async {
        let exits = models.get("assistant").await.unwrap().status?.seal?.exits;
        exits
            .iter()
            .any(|exit| exit.contains("McpServer search"))
            .then_some(())
    })
    .await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "team-a");
    let deployment = until("the server's Deployment", || async {
        deployments.get_opt("search").await.unwrap()
    })
    .await;
    let services: Api<Service> = Api::namespaced(client.clone(), "team-a");
    let address = services
        .get("assistant")
        .await
        .unwrap()
        .spec
        .unwrap()
        .cluster_ip
        .unwrap();
    let pod = serde_json::to_string(&deployment.spec.as_ref().unwrap().template).unwrap();
    let flag = format!("--mcp-model=name=assistant,port=11500,url=http://{address}:8080/v1");
    assert!(pod.contains(&flag), "{pod}");
    kubelet::serve(client, &deployment).await;
    condition(&near, "search", "Available", "Serving").await;
    condition(&near, "search", "Ready", "NotSealed").await;
    let status = near.get("search").await.unwrap().status.unwrap();
    assert_eq!(
        status.url.as_deref(),
        Some("http://search.team-a.svc:8080/mcp")
    );

    another_namespace(client, &far, &models).await;
    any_service(client, &far).await;
    mcp_missing::key_of_a_model(client).await;
    mcp_missing::what_pods_wait_for(client).await;
    model_waits(client, &near, &deployments).await;
    at_rest(server).await;

    // The edge goes with the server that it was for.
    near.delete("search", &DeleteParams::default())
        .await
        .unwrap();
    rules(
        client,
        "team-a",
        "sealroom-edge-assistant",
        "ingress",
        |rules| !serde_json::to_string(rules).unwrap().contains(&uid),
    )
    .await;
    deployments
        .delete("search", &DeleteParams::default())
        .await
        .unwrap();
}

/// A server of another namespace waits for the model's own word.
async fn another_namespace(client: &Client, far: &Api<McpServer>, models: &Api<ModelDeployment>) {
    let named = json!([{ "modelDeploymentRef": { "name": "assistant", "namespace": "team-a" } }]);
    let post = PostParams::default();
    far.create(&post, &object("records", named)).await.unwrap();
    let says = condition(far, "records", "ModelsBound", "AccessNotGranted").await;
    assert!(
        says.contains("app.kubernetes.io/instance=records"),
        "{says}"
    );
    condition(far, "records", "Ready", "ModelsNotBound").await;
    let out = rules(client, "tools", "sealroom-edge-records", "egress", |_| true).await;
    assert!(out.is_empty(), "{out:?}");
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "tools");
    assert!(deployments.get_opt("records").await.unwrap().is_none());

    let peer = json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "tools" } },
        "podSelector": { "matchLabels": { "app.kubernetes.io/name": "sealroom-mcp", "app.kubernetes.io/instance": "records" } } });
    let chat = json!({ "podSelector": { "matchLabels": { "app": "chat" } } });
    let params = PatchParams::default();
    let from = |peers: Value| Patch::Merge(json!({ "spec": { "access": { "from": peers } } }));
    models
        .patch("assistant", &params, &from(json!([chat, peer])))
        .await
        .unwrap();
    condition(far, "records", "ModelsBound", "Bound").await;
    until("the far server's Deployment", || async {
        deployments.get_opt("records").await.unwrap()
    })
    .await;

    // What was given can be taken: the edge closes, the pods stay.
    models
        .patch("assistant", &params, &from(json!([chat])))
        .await
        .unwrap();
    condition(far, "records", "ModelsBound", "AccessNotGranted").await;
    rules(
        client,
        "tools",
        "sealroom-edge-records",
        "egress",
        <[_]>::is_empty,
    )
    .await;
    assert!(deployments.get_opt("records").await.unwrap().is_some());
    models
        .patch("assistant", &params, &from(json!([chat, peer])))
        .await
        .unwrap();
    condition(far, "records", "ModelsBound", "Bound").await;
}

/// Any Service is a model: by its selector, when it is there, and shown as an exit of its own.
async fn any_service(client: &Client, far: &Api<McpServer>) {
    let services: Api<Service> = Api::namespaced(client.clone(), "tools");
    let named = json!([{ "service": { "name": "vllm", "port": 80, "model": "m" } }]);
    let post = PostParams::default();
    far.create(&post, &object("embed", named)).await.unwrap();
    condition(far, "embed", "ModelsBound", "ModelNotFound").await;
    let mut vllm = Service::default();
    vllm.metadata.name = Some("vllm".to_owned());
    let spec =
        json!({ "selector": { "app": "vllm" }, "ports": [{ "port": 80, "targetPort": 8000 }] });
    vllm.spec = Some(serde_json::from_value(spec).unwrap());
    services.create(&post, &vllm).await.unwrap();
    condition(far, "embed", "ModelsBound", "Bound").await;
    let out = rules(client, "tools", "sealroom-edge-embed", "egress", |rules| {
        rules.len() == 1
    })
    .await;
    assert_eq!(
        out[0]["to"][0]["podSelector"]["matchLabels"],
        json!({ "app": "vllm" })
    );
    assert_eq!(out[0]["ports"][0]["port"], 8000);
    let exits = far
        .get("embed")
        .await
        .unwrap()
        .status
        .unwrap()
        .seal
        .unwrap()
        .exits;
    let exit = "out 8000/TCP to the pods of Service tools/vllm";
    assert!(exits.iter().any(|one| one == exit), "{exits:#?}");
    let params = DeleteParams::default();
    services.delete("vllm", &params).await.unwrap();
    condition(far, "embed", "ModelsBound", "ModelNotFound").await;
    far.delete("embed", &params).await.unwrap();
}

/// A model that serves no more shows at once, and when it serves again.
async fn model_waits(client: &Client, near: &Api<McpServer>, deployments: &Api<Deployment>) {
    let none = json!({ "status": { "readyReplicas": 0, "availableReplicas": 0 } });
    let params = PatchParams::default();
    deployments
        .patch_status("assistant", &params, &Patch::Merge(none))
        .await
        .unwrap();
    condition(near, "search", "ModelsBound", "ModelNotReady").await;
    let deployment = deployments.get("assistant").await.unwrap();
    kubelet::serve(client, &deployment).await;
    condition(near, "search", "ModelsBound", "Bound").await;
}

async fn at_rest(server: &Server) {
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let before = ours(server).len();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let mut since = ours(server).split_off(before);
    since.retain(|request| !request.contains("leases") && !request.starts_with("watch "));
    assert!(since.is_empty(), "{since:#?}");
}

/// The model is gone: the server that names it says so, and the way to it is closed.
pub async fn without_the_model(client: &Client) {
    let far: Api<McpServer> = Api::namespaced(client.clone(), "tools");
    let says = condition(&far, "records", "ModelsBound", "ModelNotFound").await;
    assert!(says.contains("ModelDeployment team-a/assistant"), "{says}");
    rules(
        client,
        "tools",
        "sealroom-edge-records",
        "egress",
        <[_]>::is_empty,
    )
    .await;
    far.delete("records", &DeleteParams::default())
        .await
        .unwrap();
}
