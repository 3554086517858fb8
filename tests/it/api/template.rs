//! A pod template into which somebody puts fields of his own: what applying leaves is taken out, and who does it again is
//! named.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use sealroom::api::ModelDeployment;
use serde_json::{Value, json};

use super::operator::{DIGEST, condition, ours, until};
use super::server::Server;

const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// The Deployment `assistant` of `team-a`.
struct There(Api<Deployment>);

impl There {
    async fn template(&self) -> PodTemplateSpec {
        self.get().await.spec.unwrap().template
    }

    async fn get(&self) -> Deployment {
        self.0.get("assistant").await.unwrap()
    }

    /// Somebody changes the template under that name; what it is then.
    async fn change(&self, manager: &str, template: Value) -> PodTemplateSpec {
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let change = Patch::Strategic(json!({ "spec": { "template": template } }));
        let after = self.0.patch("assistant", &params, &change).await;
        after.unwrap().spec.unwrap().template
    }

    async fn becomes(&self, template: &PodTemplateSpec) {
        until("the template as it was", || async {
            (self.template().await == *template).then_some(())
        })
        .await;
    }

    async fn replicas(&self) -> Option<i32> {
        self.get().await.spec.unwrap().replicas
    }
}

/// As a mesh does it: a container, a variable, and what its webhook looks for.
fn injected() -> Value {
    json!({
        "metadata": { "annotations": { "mesh.example/inject": "true" } },
        "spec": { "containers": [
            { "name": "runtime", "env": [{ "name": "LD_PRELOAD", "value": "/theirs.so" }] },
            { "name": "proxy", "image": format!("registry.internal:5000/theirs@{DIGEST}") },
        ] },
    })
}

/// Of `assistant` in `team-a`, which serves.
pub async fn taken_back(client: &Client, server: &Server) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let there = There(Api::namespaced(client.clone(), "team-a"));
    let wanted = there.template().await;
    scale(&models, &there, 2).await;

    let changed = there.change("mesh-injector", injected()).await;
    assert_ne!(changed, wanted);
    there.becomes(&wanted).await;
    let after = there.get().await;
    assert_eq!(after.spec.as_ref().unwrap().replicas, Some(2));
    let owners = after.managed_fields().iter().filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.pointer("/f:spec/f:template").is_some())
    });
    let owners: Vec<_> = owners
        .map(|entry| (entry.manager.as_deref(), entry.operation.as_deref()))
        .collect();
    assert_eq!(owners, [(Some("sealroom"), Some("Apply"))]);
    writes_nothing(&models, &there, server).await;

    // It comes back: that is told, with the name, and taken out later.
    there.change("mesh-injector", injected()).await;
    let says = condition(&models, "assistant", "Stalled", "TemplateContested").await;
    for expected in [
        "field manager \"mesh-injector\"",
        "container proxy was added",
        "env LD_PRELOAD was added",
        "Deployment assistant",
    ] {
        assert!(says.contains(expected), "{says}");
    }
    assert!(!says.contains("/theirs.so"), "{says}");
    there.becomes(&wanted).await;
    assert_eq!(there.replicas().await, Some(2));
    condition(&models, "assistant", "Stalled", "Succeeded").await;

    asked_for_by_an_annotation(&there, &wanted).await;
    scale(&models, &there, 1).await;
}

/// As an autoscaler does it.
async fn scale(models: &Api<ModelDeployment>, there: &There, replicas: i32) {
    let change = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    let params = PatchParams::default();
    models
        .patch_scale("assistant", &params, &change)
        .await
        .unwrap();
    until("the replicas", || async {
        (there.replicas().await == Some(replicas)).then_some(())
    })
    .await;
}

/// Another pass over the object leaves its Deployment alone.
async fn writes_nothing(models: &Api<ModelDeployment>, there: &There, server: &Server) {
    let patches = || {
        let all = ours(server);
        let patches = all.iter().filter(|request| {
            request.ends_with("deployments team-a/assistant") && !request.starts_with("watch ")
        });
        patches.count()
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, version) = (patches(), there.get().await.resource_version());
    let note = json!({ "metadata": { "annotations": { "looked": "again" } } });
    let params = PatchParams::default();
    models
        .patch("assistant", &params, &Patch::Merge(note))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(patches(), before);
    assert_eq!(there.get().await.resource_version(), version);
}

/// What only asks an injector goes too; `kubectl rollout restart` is nobody's interference.
async fn asked_for_by_an_annotation(there: &There, wanted: &PodTemplateSpec) {
    let annotation = |key: &str| json!({ "metadata": { "annotations": { key: "true" } } });
    there.change("kubectl-rollout", annotation(RESTARTED)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let restarted = there.template().await.metadata.unwrap().annotations;
    assert!(restarted.unwrap().contains_key(RESTARTED));
    there
        .change("agent", annotation("agent.example/inject"))
        .await;
    // The restart that somebody asked for stays.
    let mut restarted = wanted.clone();
    let annotations = &mut restarted.metadata.get_or_insert_default().annotations;
    let annotations = annotations.get_or_insert_default();
    annotations.insert(RESTARTED.to_owned(), "true".to_owned());
    there.becomes(&restarted).await;
}
