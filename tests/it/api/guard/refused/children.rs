//! What the operator makes beside pods.

use serde_json::{Value, json};

use super::Row;
use crate::api::guard::attempt::{Call, Who};
use crate::api::guard::world::{IMAGE, TEAM, World};

const CHILD: &str = "marks what Sealroom makes";
const CLAIM: &str = "holds a model that Sealroom verified";

/// The attempts.
pub fn table(world: &World) -> Vec<Row> {
    use Who::{Controller, Tenant};
    let core = |plural: &str, name: &str| format!("/api/v1/namespaces/{TEAM}/{plural}/{name}");
    let deployment = format!("/apis/apps/v1/namespaces/{TEAM}/deployments/assistant");
    let replica_set = format!("/apis/apps/v1/namespaces/{TEAM}/replicasets/assistant-1");
    let policies = format!("/apis/networking.k8s.io/v1/namespaces/{TEAM}/networkpolicies");
    let sealed = format!("{policies}/sealroom-sealed");
    let job = format!(
        "/apis/batch/v1/namespaces/{TEAM}/jobs/{}",
        world.name("Job", "-pull-")
    );
    let claim = core(
        "persistentvolumeclaims",
        &world.name("PersistentVolumeClaim", ""),
    );
    let map = core("configmaps", &world.name("ConfigMap", ""));
    let service = core("services", "assistant");
    let managed = "app.kubernetes.io/managed-by";
    let unmanaged = json!({ "metadata": { "labels": { managed: null } } });
    let own = json!({ "metadata": { "name": "mine", "labels": { managed: "sealroom" } }, "spec": { "podSelector": {} } });
    let take = json!({ "metadata": { "labels": { managed: "sealroom" } } });
    let out = json!({ "spec": { "egress": [{}] } });
    let image = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "runtime", "image": IMAGE }] } } } });
    let more = json!({ "spec": { "replicas": 5 } });
    let elsewhere = json!({ "spec": { "selector": { "app": "own" } } });
    let orphan = json!({ "metadata": { "ownerReferences": null } });
    vec![
        (
            Tenant,
            "changes the runtime's image",
            Call::strategic(&deployment, image),
            CHILD,
        ),
        (
            Tenant,
            "takes the Deployment's label",
            Call::merge(&deployment, unmanaged.clone()),
            CHILD,
        ),
        (
            Tenant,
            "takes the Deployment from its owner",
            Call::merge(&deployment, orphan.clone()),
            CHILD,
        ),
        (
            Tenant,
            "deletes the Deployment",
            Call::delete(&deployment),
            CHILD,
        ),
        (
            Tenant,
            "scales the ReplicaSet",
            Call::merge(&replica_set, more),
            CHILD,
        ),
        (
            Controller("statefulset-controller"),
            "takes the claim's label",
            Call::replace(&claim, unlabelled(world)),
            CLAIM,
        ),
        (Tenant, "deletes the Job", Call::delete(&job), CHILD),
        (
            Tenant,
            "leads the Service elsewhere",
            Call::merge(&service, elsewhere),
            CHILD,
        ),
        (Tenant, "deletes the Service", Call::delete(&service), CHILD),
        (
            Tenant,
            "opens the shared policy",
            Call::merge(&sealed, out.clone()),
            CHILD,
        ),
        (
            Tenant,
            "takes the shared policy's label",
            Call::merge(&sealed, unmanaged.clone()),
            CHILD,
        ),
        (
            Tenant,
            "deletes the shared policy",
            Call::delete(&sealed),
            CHILD,
        ),
        (
            Tenant,
            "deletes all policies",
            Call::delete(&policies),
            CHILD,
        ),
        (
            Tenant,
            "opens the edge",
            Call::merge(&format!("{policies}/sealroom-edge-assistant"), out),
            CHILD,
        ),
        (
            Tenant,
            "makes a policy that says it is ours",
            Call::create(&policies, own),
            CHILD,
        ),
        (
            Tenant,
            "says that its policy is ours",
            Call::merge(&format!("{policies}/own"), take),
            CHILD,
        ),
        (
            Tenant,
            "deletes the registry's declaration",
            Call::delete(&map),
            CHILD,
        ),
        (
            Tenant,
            "takes the declaration's label",
            Call::merge(&map, unmanaged.clone()),
            CHILD,
        ),
        (
            Tenant,
            "takes the claim's label",
            Call::merge(&claim, unmanaged),
            CLAIM,
        ),
        (
            Tenant,
            "takes the claim from its owner",
            Call::merge(&claim, orphan),
            CLAIM,
        ),
        (Tenant, "deletes the claim", Call::delete(&claim), CLAIM),
        (
            Tenant,
            "annotates the claim",
            Call::merge(
                &claim,
                json!({ "metadata": { "annotations": { "a": "b" } } }),
            ),
            CLAIM,
        ),
    ]
}

/// The claim without the label that marks it.
fn unlabelled(world: &World) -> Value {
    let mut claim = world.there(
        "PersistentVolumeClaim",
        &world.name("PersistentVolumeClaim", ""),
    );
    claim["metadata"]["labels"] = json!({});
    claim
}
