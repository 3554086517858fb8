//! A pod that fits on no node: told before it is made, and made when a node has the memory.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use sealroom::api::ModelDeployment;
use serde_json::json;

use super::operator::{condition, object, ours, until};
use super::server::Server;

async fn allocatable(nodes: &Api<Node>, memory: &str) {
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    // As a kubelet writes it: with conditions that change by the minute.
    let status = json!({ "status": {
        "allocatable": { "cpu": "4", "memory": memory, "pods": "110" },
        "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
            "lastHeartbeatTime": now, "lastTransitionTime": now }],
    }});
    nodes
        .patch_status("n1", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

/// The artifact that the object names is there already.
pub async fn too_large(client: &Client, server: &Server) {
    let nodes: Api<Node> = Api::all(client.clone());
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "team-a");
    let post = PostParams::default();
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n1" } });
    nodes
        .create(&post, &serde_json::from_value(node).unwrap())
        .await
        .unwrap();
    allocatable(&nodes, "8Gi").await;

    let mut large = object("large", "registry.internal:5000");
    let memory = Quantity("16Gi".to_owned());
    (large.spec.resources.requests).insert("memory".to_owned(), memory);
    models.create(&post, &large).await.unwrap();
    let says = condition(&models, "large", "Stalled", "InsufficientMemory").await;
    for part in ["n1", "8192 MiB", "contextLength"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert!(deployments.get_opt("large").await.unwrap().is_none());

    // A heartbeat wakes nobody.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = ours(server).len();
    allocatable(&nodes, "8Gi").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut since = ours(server).split_off(before);
    since.retain(|request| !request.contains("leases") && !request.starts_with("watch "));
    assert!(since.is_empty(), "{since:#?}");
    assert!(deployments.get_opt("large").await.unwrap().is_none());

    allocatable(&nodes, "32Gi").await;
    until("the large Deployment", || async {
        deployments.get_opt("large").await.unwrap()
    })
    .await;
    condition(&models, "large", "Stalled", "Succeeded").await;

    let delete = DeleteParams::default();
    models.delete("large", &delete).await.unwrap();
    deployments.delete("large", &delete).await.unwrap();
    nodes.delete("n1", &delete).await.unwrap();
}
