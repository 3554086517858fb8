//! Every pod that the operator makes fits into a namespace that enforces the Pod Security Standard `restricted`, as the
//! API server itself judges.

use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

use super::{chart, server};

const NS: &str = "restricted";

/// The cases of `tests/golden` that say which children come out.
fn cases() -> Vec<String> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<String> = std::fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("out.yaml").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    cases.sort();
    cases
}

/// The pods that the Deployments and Jobs of a case make.
fn pods(case: &str) -> Vec<Value> {
    let mut objects = chart::documents(&format!("tests/golden/{case}/out.yaml"));
    objects.retain(|object| object["spec"]["template"]["spec"].is_object());
    let pods = objects.into_iter().map(|object| {
        let template = &object["spec"]["template"];
        let mut metadata = template["metadata"].clone();
        metadata["name"] = object["metadata"]["name"].clone();
        let mut spec = template["spec"].clone();
        // Objects of the platform, which are not here and have no say in this.
        for class in ["priorityClassName", "runtimeClassName"] {
            spec.as_object_mut().unwrap().remove(class);
        }
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
    });
    pods.collect()
}

async fn make(api: &Api<DynamicObject>, pod: &Value) -> Result<(), String> {
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let pod = serde_json::from_value(pod.clone()).unwrap();
    let made = api.create(&dry, &pod).await;
    made.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_pod_is_admitted() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": NS, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } },
    });
    chart::apply(&client, &[namespace]).await;
    let resource = ApiResource::erase::<Pod>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client, NS, &resource);

    let cases = cases();
    assert!(cases.len() >= 12, "{cases:?}");
    for case in &cases {
        let pods = pods(case);
        assert!(!pods.is_empty(), "{case}");
        for pod in &pods {
            let made = make(&api, pod).await;
            assert!(made.is_ok(), "{case} {}: {made:?}", pod["metadata"]["name"]);
        }
    }
    // Each container counts: without its settings the same pod is refused.
    for (containers, index) in [("containers", 0), ("initContainers", 1)] {
        let mut loose = pods("assistant").remove(0);
        let container = &mut loose["spec"][containers][index];
        container.as_object_mut().unwrap().remove("securityContext");
        let error = make(&api, &loose).await.expect_err(containers);
        assert!(error.contains("violates PodSecurity"), "{error}");
    }
}
