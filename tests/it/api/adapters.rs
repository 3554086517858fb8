//! An adapter beside a model: an artifact of its own, and what its header says is told before any pod is made.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use sealroom::api::{ModelArtifact, ModelDeployment};
use sealroom::gguf::Kind;
use serde_json::json;

use super::kubelet;
use super::operator::{condition, until};
use super::several::{claims, gone, job};

const MODEL: &str = "sha256:7777777777777777777777777777777777777777777777777777777777777777";
const ADAPTER: &str = "sha256:8888888888888888888888888888888888888888888888888888888888888888";
const ANOTHER: &str = "sha256:9999999999999999999999999999999999999999999999999999999999999999";

pub async fn beside_a_model(client: &Client) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let artifacts: Api<ModelArtifact> = Api::namespaced(client.clone(), "team-a");
    let image = |name: &str, digest: &str| json!({ "image": format!("registry.internal:5000/{name}@{digest}") });
    let adapters = json!([{ "name": "tone", "artifact": image("tone", ADAPTER), "scale": "0.5" }]);
    let object = json!({
        "apiVersion": "sealroom.dev/v1alpha1", "kind": "ModelDeployment", "metadata": { "name": "tuned" },
        "spec": { "artifact": image("base", MODEL), "runtime": { "engine": "LlamaCpp", "llamaCpp": { "adapters": adapters } } },
    });
    let object = serde_json::from_value(object).unwrap();
    models
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    let mut made = until("an artifact for each", || async {
        let all = artifacts.list(&ListParams::default()).await.unwrap().items;
        let ours = |one: &ModelArtifact| {
            [MODEL, ADAPTER]
                .iter()
                .any(|of| one.spec.image.ends_with(of))
        };
        let made: Vec<ModelArtifact> = all.into_iter().filter(ours).collect();
        (made.len() == 2).then_some(made)
    })
    .await;
    made.sort_by_key(|one| one.spec.image.clone());
    let kinds: Vec<Kind> = made.iter().map(|one| one.spec.kind).collect();
    assert_eq!(kinds, [Kind::Model, Kind::Adapter]);
    let names: Vec<String> = made.iter().map(ResourceExt::name_any).collect();
    for (name, digest) in names.iter().zip([MODEL, ADAPTER]) {
        let plan = job(client, name, "plan").await;
        let container = &plan.spec.clone().unwrap().template.spec.unwrap().containers[0];
        let arguments = container.args.clone().unwrap().join(" ");
        assert_eq!(arguments.contains("--kind Adapter"), digest == ADAPTER);
        let mut message = kubelet::message("Planned", digest);
        if digest == ADAPTER {
            let artifact = message["artifact"].as_object_mut().unwrap();
            artifact.remove("geometry");
            artifact.insert("kind".to_owned(), "Adapter".into());
            artifact.insert("architecture".to_owned(), "qwen3".into());
        }
        kubelet::finish(client, &plan, 0, &message).await;
    }
    // Both lie on one node.
    let pull = job(client, &names[1], "pull").await;
    let mut both = names.clone();
    both.sort();
    assert_eq!(claims(pull.spec.unwrap().template.spec), both);
    let told = condition(&models, "tuned", "Stalled", "InvalidSpec").await;
    for part in ["runtime.llamaCpp.adapters[tone]", "qwen3", "llama"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let status = models.get("tuned").await.unwrap().status.unwrap();
    assert_eq!(status.adapters[0].name, "tone");
    let shown = status.adapters[0].own.artifact.clone().unwrap();
    assert_eq!(shown.digest, ADAPTER);
    assert_eq!(status.artifact.unwrap().digest, MODEL);
    // 96 MB of weights and 98 MB of a file beside them.
    assert_eq!(status.memory.unwrap().weights, "186Mi");
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "team-a");
    assert!(deployments.get_opt("tuned").await.unwrap().is_none());

    // Another adapter while the model is not verified yet: its pull is not left waiting for the claim of the first.
    let another = json!([{ "name": "tone", "artifact": image("tone", ANOTHER) }]);
    let another = json!({ "spec": { "runtime": { "llamaCpp": { "adapters": another } } } });
    models
        .patch("tuned", &PatchParams::default(), &Patch::Merge(another))
        .await
        .unwrap();
    let mut both = vec![names[0].clone()];
    both.push(
        until("an artifact of the other adapter", || async {
            let all = artifacts.list(&ListParams::default()).await.unwrap().items;
            let other = all
                .into_iter()
                .find(|one| one.spec.image.ends_with(ANOTHER));
            other.map(|one| one.name_any())
        })
        .await,
    );
    both.sort();
    until("a pull beside the other adapter", || async {
        let pull = job(client, &names[0], "pull").await;
        (claims(pull.spec.unwrap().template.spec) == both).then_some(())
    })
    .await;

    models
        .delete("tuned", &DeleteParams::default())
        .await
        .unwrap();
    gone(&artifacts, &names).await;
}
