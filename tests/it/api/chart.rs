//! The chart's objects, as `charts/sealroom/tests/golden/default.yaml` has them. `charts/sealroom/tests/render.sh` holds
//! that file to what helm renders from the templates, so these tests need no helm.

use std::path::Path;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

/// The documents of a YAML file of this repository.
pub fn documents(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

fn rendered(keep: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut all = documents("charts/sealroom/tests/golden/default.yaml");
    all.retain(keep);
    assert!(!all.is_empty());
    all
}

/// The policies and bindings of the tenant guard.
pub fn guard() -> Vec<Value> {
    rendered(|object| object["metadata"]["labels"]["app.kubernetes.io/component"] == "guard")
}

/// Service accounts, roles and their bindings.
pub fn rights() -> Vec<Value> {
    rendered(|object| {
        let group = object["apiVersion"].as_str().unwrap_or_default();
        group.starts_with("rbac.authorization.k8s.io/") || object["kind"] == "ServiceAccount"
    })
}

fn api(client: &Client, object: &Value) -> Api<DynamicObject> {
    let text = |key: &str| object[key].as_str().unwrap();
    let (group, version) = text("apiVersion")
        .split_once('/')
        .unwrap_or(("", text("apiVersion")));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Applies the objects and says what the API server made of them.
pub async fn apply(client: &Client, objects: &[Value]) -> Vec<DynamicObject> {
    let mut made = Vec::new();
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        let params = PatchParams::apply("test").force();
        let there = api(client, object)
            .patch(name, &params, &Patch::Apply(object))
            .await;
        made.push(there.unwrap_or_else(|error| panic!("{} {name}: {error}", object["kind"])));
    }
    made
}

/// Deletes the objects.
pub async fn remove(client: &Client, objects: &[Value]) {
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        api(client, object)
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }
}

/// The object of that kind and name among those that were made.
pub fn found(made: &[DynamicObject], kind: &str, name: &str) -> Value {
    let is = |object: &&DynamicObject| {
        object
            .types
            .as_ref()
            .is_some_and(|types| types.kind == kind)
            && object.name_any() == name
    };
    let object = made
        .iter()
        .find(is)
        .unwrap_or_else(|| panic!("no {kind} {name}"));
    serde_json::to_value(object).unwrap()
}
