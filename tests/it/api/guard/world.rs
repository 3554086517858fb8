//! Two namespaces with a model's objects as the operator makes them, and users with their rights.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::api::{chart, server};

/// Where the model is. It has no label of the guard.
pub const TEAM: &str = "team-a";
/// Has the label that refuses connections.
pub const CLOSED: &str = "team-s";
/// A digest of an image.
pub const IMAGE: &str = "registry.internal:5000/tool@sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The objects by what they are for.
pub struct World {
    made: Vec<DynamicObject>,
    /// A serving pod, not yet made.
    pub serving: Value,
    /// A pulling pod, not yet made.
    pub pulling: Value,
    /// A ReplicaSet as the Deployment controller makes it, not yet made.
    pub replica_set: Value,
    /// Whether the API server keeps image volumes: an older one drops what its feature gates do not let in, and then
    /// there is nothing to refuse.
    pub image_volumes: bool,
}

impl World {
    /// Makes everything; only a member of system:masters may.
    pub async fn make(client: &Client) -> Self {
        for name in ["sealroom-system", TEAM, CLOSED] {
            server::namespace(client, name).await;
        }
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let label = json!({ "metadata": { "labels": { "sealroom.dev/guard": "sealed" } } });
        let params = PatchParams::default();
        namespaces
            .patch(CLOSED, &params, &Patch::Merge(label))
            .await
            .unwrap();
        chart::apply(client, &chart::rights()).await;
        aggregate(client).await;
        chart::apply(client, &bindings()).await;

        let mut objects = chart::documents("tests/golden/assistant/in.yaml");
        objects.extend(chart::documents("tests/golden/assistant/out.yaml"));
        for object in &mut objects {
            object["metadata"].as_object_mut().unwrap().remove("uid");
        }
        let of = |kind: &str, name: &str| {
            let is = |o: &&Value| {
                o["kind"] == kind && o["metadata"]["name"].as_str().unwrap().contains(name)
            };
            objects.iter().find(is).unwrap().clone()
        };
        let deployment = of("Deployment", "assistant");
        let serving = pod("assistant-1", &deployment["spec"]["template"]);
        let pulling = pod("pull-1", &of("Job", "-pull-")["spec"]["template"]);
        let replica_set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": { "name": "assistant-1", "namespace": TEAM, "labels": serving["metadata"]["labels"] },
            "spec": { "replicas": 1, "selector": deployment["spec"]["selector"], "template": deployment["spec"]["template"] },
        });
        let search = chart::documents("tests/golden/mcp-stdio/in.yaml");
        let search = search.into_iter().filter(|o| o["kind"] == "McpServer");
        objects.extend(search.map(|mut object| {
            object["metadata"].as_object_mut().unwrap().remove("uid");
            object
        }));
        let open = json!({ "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": { "name": "own", "namespace": TEAM }, "spec": { "podSelector": {} } });
        objects.extend([serving.clone(), pulling.clone(), replica_set.clone(), open]);
        objects.extend([plain(TEAM), plain(CLOSED)]);
        let made = chart::apply(client, &objects).await;
        Self {
            made,
            serving,
            pulling,
            replica_set,
            image_volumes: keeps_image_volumes(client).await,
        }
    }

    /// An object as the API server has it.
    pub fn there(&self, kind: &str, name: &str) -> Value {
        chart::found(&self.made, kind, name)
    }

    /// The name of the object of that kind that contains some words.
    pub fn name(&self, kind: &str, words: &str) -> String {
        let is = |object: &&DynamicObject| {
            object
                .types
                .as_ref()
                .is_some_and(|types| types.kind == kind)
                && object.name_any().contains(words)
        };
        self.made.iter().find(is).unwrap().name_any()
    }
}

fn pod(name: &str, template: &Value) -> Value {
    let metadata =
        json!({ "name": name, "namespace": TEAM, "labels": template["metadata"]["labels"] });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] })
}

/// A tenant's own pod.
pub fn plain(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "own", "namespace": namespace },
        "spec": { "containers": [{ "name": "own", "image": IMAGE }] },
    })
}

async fn keeps_image_volumes(client: &Client) -> bool {
    let mut pod = plain(TEAM);
    pod["metadata"]["name"] = "with-an-image-volume".into();
    pod["spec"]["volumes"] = json!([{ "name": "image", "image": { "reference": IMAGE } }]);
    let path = format!("/api/v1/namespaces/{TEAM}/pods?dryRun=All");
    let request = http::Request::post(path).header("content-type", "application/json");
    let request = request.body(pod.to_string().into_bytes()).unwrap();
    let made: Value = client.request(request).await.unwrap();
    let kept = made["spec"]["volumes"][0]["image"].is_object();
    let version = client.apiserver_version().await.unwrap();
    let minor: u32 = version.minor.trim_end_matches('+').parse().unwrap();
    // KEP-4639: on without a feature gate since 1.35.
    assert!(
        kept || minor < 35,
        "Kubernetes 1.{minor} dropped an image volume"
    );
    kept
}

/// What the controller that aggregates ClusterRoles does: there is none beside this API server, which makes the roles
/// themselves some moments after it started.
async fn aggregate(client: &Client) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let made = "/readyz/poststarthook/rbac/bootstrap-roles";
    let asked = || http::Request::get(made).body(Vec::new()).unwrap();
    while client.request_text(asked()).await.is_err() {
        assert!(Instant::now() < deadline, "the built-in roles did not come");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let roles: Api<ClusterRole> = Api::all(client.clone());
    for name in ["view", "edit"] {
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{name}=true");
        let parts = roles
            .list(&ListParams::default().labels(&label))
            .await
            .unwrap()
            .items;
        let rules: Vec<_> = parts
            .into_iter()
            .flat_map(|role| role.rules.unwrap_or_default())
            .collect();
        assert!(rules.len() > 5, "{name} has only {} rules", rules.len());
        let patch = Patch::Merge(json!({ "rules": rules }));
        roles
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}

fn bindings() -> Vec<Value> {
    let group = "rbac.authorization.k8s.io";
    let bind = |namespace: &str, name: &str, role: &str, subjects: Value| {
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": name, "namespace": namespace },
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": role }, "subjects": subjects })
    };
    let user = |name: &str| json!({ "apiGroup": group, "kind": "User", "name": name });
    let plugin = json!({ "kind": "ServiceAccount", "name": "plugin", "namespace": "network" });
    let pipeline = json!({ "kind": "ServiceAccount", "name": "pipeline", "namespace": TEAM });
    let rule = |group: &str, resources: &[&str]| json!({ "apiGroups": [group], "resources": resources, "verbs": ["*"] });
    let mut all = vec![
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": "more" }, "rules": [
            rule("", &["pods", "pods/status", "pods/resize", "pods/ephemeralcontainers"]),
            rule("sealroom.dev", &["modelartifacts", "modelartifacts/status", "modeldeployments/status", "mcpservers/status"]),
        ]}),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": "nodes" },
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": "system:node" },
            "subjects": [{ "apiGroup": group, "kind": "Group", "name": "system:nodes" }] }),
    ];
    for namespace in [TEAM, CLOSED] {
        all.push(bind(
            namespace,
            "edit",
            "edit",
            json!([user("tenant"), user("lead"), pipeline]),
        ));
        all.push(bind(
            namespace,
            "more",
            "more",
            json!([user("lead"), plugin]),
        ));
    }
    all
}
