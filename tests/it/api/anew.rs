//! An object that is made anew while what its predecessor had is still there: it waits for the end of that.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, ResourceExt};
use sealroom::api::ModelDeployment;

use super::operator::{object, until};

/// What the first one had is no conflict that anybody must mend.
pub async fn waits(client: &Client) {
    let models: Api<ModelDeployment> = Api::namespaced(client.clone(), "team-a");
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), "team-a");
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "team-a");
    let services: Api<Service> = Api::namespaced(client.clone(), "team-a");
    let (post, params) = (PostParams::default(), DeleteParams::default());
    let object = object("anew", "registry.internal:5000");
    models.create(&post, &object).await.unwrap();
    until("the first one's Service", || async {
        services.get_opt("anew").await.unwrap()
    })
    .await;
    models.delete("anew", &params).await.unwrap();
    let second = models.create(&post, &object).await.unwrap();
    // What a garbage collector would take along is taken along here.
    waits_for(&models, "NetworkPolicy sealroom-edge-anew").await;
    policies
        .delete("sealroom-edge-anew", &params)
        .await
        .unwrap();
    waits_for(&models, "Deployment anew").await;
    deployments.delete("anew", &params).await.unwrap();
    waits_for(&models, "Service anew").await;
    services.delete("anew", &params).await.unwrap();
    until("the second one's Service", || async {
        let service = services.get_opt("anew").await.unwrap()?;
        let mut owners = service.owner_references().iter();
        owners
            .any(|owner| Some(&owner.uid) == second.metadata.uid.as_ref())
            .then_some(())
    })
    .await;
    models.delete("anew", &params).await.unwrap();
    deployments.delete("anew", &params).await.unwrap();
}

async fn waits_for(models: &Api<ModelDeployment>, what: &str) {
    until(what, || async {
        let conditions = models.get("anew").await.unwrap().status?.conditions;
        let of = |kind: &str| conditions.iter().find(|one| one.type_ == kind);
        let goes_on = of("Reconciling")?;
        let stalled = of("Stalled")?;
        assert_eq!(stalled.status, "False", "{}", stalled.message);
        (goes_on.reason == "Progressing" && goes_on.message.contains(what)).then_some(())
    })
    .await;
}
