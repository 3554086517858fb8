//! Several models of one object: an artifact each, pulled beside each other, and one Deployment when all are there.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use sealroom::api::{ModelArtifact, ModelDeployment};
use serde_json::json;

use super::kubelet;
use super::operator::{condition, until};

const NAMES: [&str; 2] = ["chat", "vectors"];

fn digest(name: &str) -> String {
    format!(
        "sha256:{}",
        if name == "chat" { "1" } else { "2" }.repeat(64)
    )
}

/// The claims that a pod has, mounted or not.
pub fn claims(pod: Option<k8s_openapi::api::core::v1::PodSpec>) -> Vec<String> {
    let volumes = pod.and_then(|pod| pod.volumes).unwrap_or_default();
    let claims = volumes
        .into_iter()
        .filter_map(|volume| volume.persistent_volume_claim);
    let mut names: Vec<String> = claims.map(|claim| claim.claim_name).collect();
    names.sort();
    names
}

pub async fn job(client: &Client, artifact: &str, step: &str) -> Job {
    let jobs: Api<Job> = Api::namespaced(client.clone(), "team-a");
    until(&format!("the {step} of {artifact}"), || async {
        let all = jobs.list(&ListParams::default()).await.unwrap().items;
        let beginning = format!("{artifact}-{step}-");
        all.into_iter()
            .find(|job| job.name_any().starts_with(&beginning))
    })
    .await
}

pub async fn in_one_object(client: &Client) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let artifacts: Api<ModelArtifact> = Api::namespaced(client.clone(), "team-a");
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "team-a");
    let entries = NAMES.map(|name| {
        json!({ "name": name, "artifact": { "image": format!("registry.internal:5000/{name}@{}", digest(name)) } })
    });
    let image = format!("registry.internal:5000/ollama@{}", digest("chat"));
    let object = json!({
        "apiVersion": "sealroom.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": "house" },
        "spec": { "models": entries, "runtime": { "engine": "Ollama", "image": image,
            "ollama": { "maxLoadedModels": 2 } } },
    });
    let object = serde_json::from_value(object).unwrap();
    models
        .create(&PostParams::default(), &object)
        .await
        .unwrap();

    let mut made = until("an artifact for each", || async {
        let all = artifacts.list(&ListParams::default()).await.unwrap().items;
        let names = all.iter().map(ResourceExt::name_any);
        let names = names.filter(|name| NAMES.iter().any(|of| name.starts_with(of)));
        let names: Vec<String> = names.collect();
        (names.len() == 2).then_some(names)
    })
    .await;
    made.sort();
    for (name, artifact) in NAMES.iter().zip(&made) {
        let plan = job(client, artifact, "plan").await;
        assert_eq!(claims(plan.spec.clone().unwrap().template.spec), [""; 0]);
        let mut message = kubelet::message("Planned", &digest(name));
        message["artifact"]["chatTemplate"] = "ChatML".into();
        kubelet::finish(client, &plan, 0, &message).await;
    }
    // Each pull has the claims of both, so that both lie on one node.
    let [chat, vectors] = [0, 1].map(|index| made[index].clone());
    let mut message = kubelet::message("Verified", &digest("chat"));
    message["artifact"]["chatTemplate"] = "ChatML".into();
    let pull = job(client, &chat, "pull").await;
    assert_eq!(claims(pull.spec.clone().unwrap().template.spec), made);
    kubelet::finish(client, &pull, 0, &message).await;
    let pull = job(client, &vectors, "pull").await;
    until("what the object waits for", || async {
        let says = condition(&models, "house", "ArtifactReady", "Pulling").await;
        says.starts_with("model vectors").then_some(())
    })
    .await;
    let status = models.get("house").await.unwrap().status.unwrap();
    assert!(status.artifact.is_none());
    assert!(
        deployments.get_opt("house").await.unwrap().is_none(),
        "pods before all bytes"
    );
    message["artifact"]["digest"] = digest("vectors").into();
    kubelet::finish(client, &pull, 0, &message).await;

    let made_pods = until("the Deployment", || async {
        deployments.get_opt("house").await.unwrap()
    })
    .await;
    condition(&models, "house", "ArtifactReady", "Verified").await;
    let template = made_pods.spec.unwrap().template;
    assert_eq!(claims(template.spec), made);
    let status = models.get("house").await.unwrap().status.unwrap();
    let listed: Vec<(String, String, String)> = status
        .models
        .into_iter()
        .map(|model| {
            let digest = model.own.artifact.map(|artifact| artifact.digest);
            (model.name, model.own.phase, digest.unwrap_or_default())
        })
        .collect();
    let expected = NAMES.map(|name| (name.to_owned(), "Verified".to_owned(), digest(name)));
    assert_eq!(listed, expected);
    assert_eq!(status.served_model_name.as_deref(), Some("chat"));

    // What still mounts the volumes keeps them, however the label of the further one is written.
    models
        .delete("house", &DeleteParams::default())
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    for name in &made {
        assert!(artifacts.get_opt(name).await.unwrap().is_some(), "{name}");
    }
    deployments
        .delete("house", &DeleteParams::default())
        .await
        .unwrap();
    gone(&artifacts, &made).await;
    let volumes: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), "team-a");
    for name in &made {
        let _ = volumes.delete(name, &DeleteParams::default()).await;
    }
}

/// Waits until none of these artifacts is there.
pub async fn gone(artifacts: &Api<ModelArtifact>, names: &[String]) {
    until("the end of the artifacts", || async {
        for name in names {
            if artifacts.get_opt(name).await.unwrap().is_some() {
                return None;
            }
        }
        Some(())
    })
    .await;
}
