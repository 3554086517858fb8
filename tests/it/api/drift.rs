//! What is lost, changed or put in its place by somebody while the operator runs, and what somebody must mend.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use sealroom::api::ModelDeployment;
use serde_json::json;

use super::operator::{DIGEST, claims, condition, job, object, ours, until};
use super::server::Server;
use super::{anew, chart, kubelet, template};

/// A volume that was lost is filled again: what filled the one before says nothing of it.
pub async fn lost(client: &Client) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let jobs: Api<Job> = Api::namespaced(client.clone(), "team-a");
    let volumes: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), "team-a");
    let before = job(&jobs, "pull").await.name_any();
    let name = claims(client).await.remove(0).name_any();
    // Whoever protects claims in use is not here.
    let unprotected = json!({ "metadata": { "finalizers": null } });
    let params = PatchParams::default();
    volumes
        .patch(&name, &params, &Patch::Merge(unprotected))
        .await
        .unwrap();
    volumes
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    condition(&models, "assistant", "ArtifactReady", "Pulling").await;
    let pull = until("another pull", || async {
        let job = job(&jobs, "pull").await;
        (job.name_any() != before).then_some(job)
    })
    .await;
    kubelet::finish(client, &pull, 0, &kubelet::message("Verified", DIGEST)).await;
    condition(&models, "assistant", "ArtifactReady", "Verified").await;
}

/// A change is not done before its pods are: no status of the new generation says what the old numbers say.
pub async fn changed(client: &Client) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let before = models.get("assistant").await.unwrap();
    let drain = json!({ "spec": { "drainSeconds": 31 } });
    let params = PatchParams::default();
    let drain = Patch::Merge(drain);
    let after = models.patch("assistant", &params, &drain).await.unwrap();
    let generation = after.metadata.generation;
    let one = WatchParams::default().fields("metadata.name=assistant");
    let version = before.resource_version().unwrap();
    let mut events = models.watch(&one, &version).await.unwrap().boxed();
    let first = loop {
        let event = tokio::time::timeout(Duration::from_secs(60), events.next());
        let WatchEvent::Modified(object) = event.await.unwrap().unwrap().unwrap() else {
            continue;
        };
        let status = object.status.unwrap();
        if status.observed_generation == generation {
            break status;
        }
    };
    let ready = first.conditions.iter().find(|one| one.type_ == "Ready");
    assert_eq!(ready.unwrap().reason, "RollingOut");
}

/// What somebody changes is put right; what somebody adds to a policy goes.
pub async fn put_right(client: &Client, server: &Server) {
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), "team-a");
    let opened = json!({ "spec": { "egress": [{}] } });
    let params = PatchParams::default();
    policies
        .patch("sealroom-sealed", &params, &Patch::Merge(opened))
        .await
        .unwrap();
    until("the policy closed again", || async {
        let spec = policies.get("sealroom-sealed").await.unwrap().spec.unwrap();
        spec.egress.unwrap_or_default().is_empty().then_some(())
    })
    .await;
    let services: Api<Service> = Api::namespaced(client.clone(), "team-a");
    services
        .delete("assistant", &DeleteParams::default())
        .await
        .unwrap();
    until("the Service again", || async {
        services.get_opt("assistant").await.unwrap()
    })
    .await;
    assert!(
        ours(server)
            .iter()
            .any(|r| r.starts_with("patch networkpolicies"))
    );
    led_back(&services).await;
    images_back(client).await;
    template::taken_back(client, server).await;
}

/// A Service that was led to somebody else's pods.
async fn led_back(services: &Api<Service>) {
    let selector = async || {
        let service = services.get("assistant").await.unwrap();
        service.spec.unwrap().selector.unwrap()
    };
    let before = selector().await;
    let elsewhere = json!({ "spec": { "selector": { "app.kubernetes.io/instance": "theirs" } } });
    let params = PatchParams::default();
    services
        .patch("assistant", &params, &Patch::Merge(elsewhere))
        .await
        .unwrap();
    until("the Service led back", || async {
        (selector().await == before).then_some(())
    })
    .await;
}

/// A Deployment with somebody else's images in the place of the engine's and the gate's.
async fn images_back(client: &Client) {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "team-a");
    let images = async || {
        let deployment = deployments.get("assistant").await.unwrap();
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        let containers = pod.init_containers.into_iter().flatten();
        let images = containers.chain(pod.containers).map(|one| one.image);
        images.collect::<Vec<Option<String>>>()
    };
    let before = images().await;
    let image = format!("registry.internal:5000/theirs@{DIGEST}");
    let theirs = json!({ "spec": { "template": { "spec": {
        "initContainers": [{ "name": "gate", "image": image }],
        "containers": [{ "name": "runtime", "image": image }],
    }}}});
    let params = PatchParams::default();
    deployments
        .patch("assistant", &params, &Patch::Strategic(theirs))
        .await
        .unwrap();
    until("the images as they were", || async {
        (images().await == before).then_some(())
    })
    .await;
}

/// The status says what the tenant guard refuses, as it is observed: off, on, with the namespace's label, weakened.
pub async fn guarded(client: &Client) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let says = |word: &'static str| {
        let models = models.clone();
        async move {
            until(&format!("tenantGuard: {word}"), || async {
                let status = serde_json::to_value(models.get("assistant").await.unwrap().status);
                (status.unwrap()["seal"]["tenantGuard"] == word).then_some(())
            })
            .await;
        }
    };
    says("none").await;
    chart::apply(client, &chart::guard()).await;
    says("objects").await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let sealed = json!({ "metadata": { "labels": { "sealroom.dev/guard": "sealed" } } });
    let params = PatchParams::default();
    namespaces
        .patch("team-a", &params, &Patch::Merge(sealed))
        .await
        .unwrap();
    says("objectsAndConnections").await;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let audit = json!({ "spec": { "validationActions": ["Audit"] } });
    bindings
        .patch("sealroom-children", &params, &Patch::Merge(audit))
        .await
        .unwrap();
    says("none").await;
    chart::remove(client, &chart::guard()).await;
}

/// What somebody must mend is said, costs next to nothing, and ends when it is mended.
pub async fn stalls(client: &Client, server: &Server) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let services: Api<Service> = Api::namespaced(client.clone(), "team-a");
    let post = PostParams::default();
    models
        .create(&post, &object("undeclared", "elsewhere.example"))
        .await
        .unwrap();
    let says = condition(&models, "undeclared", "Stalled", "RegistryNotDeclared").await;
    assert!(says.contains("elsewhere.example"), "{says}");

    let mut theirs = Service::default();
    theirs.metadata.name = Some("taken".to_owned());
    theirs.spec = Some(serde_json::from_value(json!({ "ports": [{ "port": 80 }] })).unwrap());
    services.create(&post, &theirs).await.unwrap();
    models
        .create(&post, &object("taken", "registry.internal:5000"))
        .await
        .unwrap();
    let says = condition(&models, "taken", "Stalled", "NameConflict").await;
    assert!(says.contains("Service taken"), "{says}");
    let untouched = services.get("taken").await.unwrap();
    assert!(untouched.owner_references().is_empty());

    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = ours(server).len();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut since = ours(server).split_off(before);
    since.retain(|request| !request.contains("leases") && !request.starts_with("watch "));
    assert!(since.len() <= 4, "two stalled objects for 20 s: {since:#?}");
    // Pods of an object that cannot be carried out any more run on, and who is taken out of it is out.
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), "team-a");
    let edges = async || {
        let edges = policies.get("sealroom-edge-taken").await.unwrap();
        serde_json::to_string(&edges.spec).unwrap()
    };
    assert!(edges().await.contains("chat"));
    let image = object("taken", "elsewhere.example").spec.artifact;
    let change = json!({ "spec": { "artifact": image, "access": { "from": [] } } });
    let params = PatchParams::default();
    models
        .patch("taken", &params, &Patch::Merge(change))
        .await
        .unwrap();
    condition(&models, "taken", "Stalled", "RegistryNotDeclared").await;
    assert!(!edges().await.contains("chat"));
    // Nor has anybody to mend it to be rid of them.
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "team-a");
    let replicas = async || deployments.get("taken").await.unwrap().spec?.replicas;
    assert_eq!(replicas().await, Some(1));
    let none = json!({ "spec": { "replicas": 0 } });
    models
        .patch("taken", &params, &Patch::Merge(none))
        .await
        .unwrap();
    until("no replicas", async || {
        replicas().await.filter(|count| *count == 0)
    })
    .await;
    for name in ["undeclared", "taken"] {
        models.delete(name, &DeleteParams::default()).await.unwrap();
    }
    deployments
        .delete("taken", &DeleteParams::default())
        .await
        .unwrap();
    anew::waits(client).await;
}
