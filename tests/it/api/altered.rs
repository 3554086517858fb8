//! Pods of ours held to their templates as the API server has both: what it fills in is no difference, and what somebody
//! changes where no guard refuses it is found.

use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use sealroom::driver::made::{Looks, Made};
use sealroom::driver::shape::Shape;
use serde_json::{Value, json};

use super::{chart, server};

const NS: &str = "altered";
const OTHER: &str = "registry.internal:5000/theirs@sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The templates of a case of `tests/golden`, without what needs objects of the platform.
fn templates(case: &str) -> Vec<Value> {
    let mut objects = chart::documents(&format!("tests/golden/{case}/out.yaml"));
    objects.retain(|object| object["spec"]["template"]["spec"].is_object());
    let templates = objects.into_iter().map(|mut object| {
        let spec = object["spec"]["template"]["spec"].as_object_mut().unwrap();
        for class in ["priorityClassName", "runtimeClassName"] {
            spec.remove(class);
        }
        object["spec"]["template"].take()
    });
    templates.collect()
}

fn pod(name: &str, template: &Value) -> Pod {
    let mut pod = template.clone();
    pod["metadata"]["name"] = name.into();
    serde_json::from_value(pod).unwrap()
}

#[tokio::test]
async fn a_pod_that_nobody_changed_is_as_its_template_says() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    let name = format!("{NS}-not");
    server::namespace(&client, &name).await;
    let pods: Api<Pod> = Api::namespaced(client, &name);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut seen = 0;
    for entry in std::fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        if !path.join("out.yaml").exists() {
            continue;
        }
        let case = path.file_name().unwrap().to_str().unwrap();
        for template in templates(case) {
            let made = pods.create(&dry, &pod("golden", &template)).await.unwrap();
            let template: PodTemplateSpec = serde_json::from_value(template).unwrap();
            let (there, wanted) = (Shape::of_pod(&made), Shape::of_template(&template));
            assert_eq!(there.differs(&wanted), None, "{case}");
            assert_eq!(there.never(), None, "{case}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "only {seen} templates");
}

#[tokio::test]
async fn what_somebody_changes_in_a_pod_is_found() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    server::namespace(&client, NS).await;
    let pods: Api<Pod> = Api::namespaced(client, NS);
    let objects = chart::documents("tests/golden/assistant/out.yaml");
    let deployment = objects.into_iter().find(|o| o["kind"] == "Deployment");
    let deployment = deployment.unwrap();
    let template = &deployment["spec"]["template"];
    let wanted: Deployment = serde_json::from_value(deployment.clone()).unwrap();
    let owner = template["metadata"]["labels"]["sealroom.dev/owner-uid"]
        .as_str()
        .unwrap();
    let made = Made::default();
    made.note(owner, &wanted, None, Timestamp::now());
    let mut looks = Looks::new(made);
    let mut look = |pod: &Pod| looks.look(pod, owner);

    let one = pods
        .create(&PostParams::default(), &pod("assistant-1", template))
        .await
        .unwrap();
    assert_eq!(look(&one), None);
    let params = PatchParams::default();
    let name = one.name_any();
    let small = json!({ "spec": { "containers": [{ "name": "runtime", "resources": { "requests": { "cpu": "10m" } } }] } });
    let resized = pods
        .patch_subresource("resize", &name, &params, &Patch::Strategic(small))
        .await
        .unwrap();
    assert_ne!(resized.resource_version(), one.resource_version());
    assert_eq!(look(&resized), None);
    let note = json!({ "metadata": { "annotations": { "a": "b" } } });
    let noted = pods
        .patch(&name, &params, &Patch::Merge(note))
        .await
        .unwrap();
    assert_eq!(look(&noted), None);

    let image = json!({ "spec": { "initContainers": [{ "name": "gate", "image": OTHER }] } });
    let swapped = pods
        .patch(&name, &params, &Patch::Strategic(image))
        .await
        .unwrap();
    let text = look(&swapped).unwrap();
    assert!(
        text.starts_with(&format!("init container gate: image is {OTHER}, not ")),
        "{text}"
    );
    let debug = json!({ "spec": { "ephemeralContainers": [{ "name": "debug", "image": OTHER }] } });
    let debugged = pods
        .patch_subresource(
            "ephemeralcontainers",
            &name,
            &params,
            &Patch::Strategic(debug),
        )
        .await
        .unwrap();
    let text = look(&debugged).unwrap();
    let added = format!("ephemeral container debug was added with image {OTHER}; ");
    assert!(text.starts_with(&added), "{text}");

    // As a webhook changes them, which is here before the pod is.
    let mut injected = template.clone();
    let proxy = json!({ "name": "proxy", "image": OTHER });
    let containers = injected["spec"]["containers"].as_array_mut().unwrap();
    containers.push(proxy);
    injected["spec"]["hostNetwork"] = true.into();
    let other = pods
        .create(&PostParams::default(), &pod("assistant-2", &injected))
        .await
        .unwrap();
    let text = look(&other).unwrap();
    for expected in ["container proxy was added", "the pod: hostNetwork is true"] {
        assert!(text.contains(expected), "{text}");
    }
}
