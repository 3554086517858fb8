//! What the API server makes of our objects: defaults, refusals, immutable fields, the scale subresource.

use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use sealroom::api::ModelDeployment;
use sealroom::api::model_deployment::Limits;
use serde_json::{Value, json};

use super::server;

const DIGEST: &str = "sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

pub fn good(name: &str) -> Value {
    json!({
        "apiVersion": "sealroom.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": { "name": name },
        "spec": {
            "artifact": { "image": format!("registry.internal:5000/models/smollm2@{DIGEST}") },
            "runtime": { "engine": "LlamaCpp" },
        },
    })
}

/// One of several models.
fn entry(name: &str) -> Value {
    json!({ "name": name, "artifact": { "image": format!("registry.internal:5000/m@{DIGEST}") } })
}

/// What makes an object of several models out of the good one, and `more`.
fn several(names: &[&str], more: Value) -> Value {
    let models: Vec<Value> = names.iter().map(|name| entry(name)).collect();
    let mut changes =
        json!({ "spec.artifact": null, "spec.runtime.engine": "Ollama", "spec.models": models });
    let changed = changes.as_object_mut().unwrap();
    changed.extend(more.as_object().unwrap().clone());
    changes
}

/// Adapters of these names, and `more` in each.
fn adapters(names: &[&str], more: Value) -> Value {
    let all: Vec<Value> = names.iter().map(|name| with(entry(name), &more)).collect();
    json!({ "spec.runtime.llamaCpp": { "adapters": all } })
}

/// Sets the value at a JSON pointer, making objects on the way; null removes it.
pub fn with(mut object: Value, changes: &Value) -> Value {
    for (pointer, value) in changes.as_object().unwrap() {
        let mut at = &mut object;
        let parts: Vec<&str> = pointer.split('.').collect();
        let (last, path) = parts.split_last().unwrap();
        for part in path {
            at = &mut at[*part];
        }
        if value.is_null() {
            at.as_object_mut().unwrap().remove(*last);
        } else {
            at[*last] = value.clone();
        }
    }
    object
}

#[tokio::test]
async fn refuses_and_says_what_to_write() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    server::namespace(&client, "schema").await;
    let api: Api<kube::api::DynamicObject> = Api::namespaced_with(
        client,
        "schema",
        &kube::api::ApiResource::erase::<ModelDeployment>(&()),
    );
    let image = |text: &str| json!({ "spec.artifact.image": text });
    let cases = [
        (
            image("registry.internal:5000/m:v1"),
            "by digest, not by tag",
        ),
        (
            image(&format!("registry.internal:5000/m:v1@{DIGEST}")),
            "no tag beside the digest",
        ),
        (image("registry.internal:5000/m@sha256:b1"), "whole digest"),
        (
            json!({ "spec.runtime.image": "registry.internal/llama:latest" }),
            "runtime's image by digest",
        ),
        (
            json!({ "spec.runtime.ollama": {} }),
            "ollama holds the settings of engine Ollama",
        ),
        (
            json!({ "spec.runtime.engine": "Ollama", "spec.runtime.llamaCpp": {} }),
            "llamaCpp holds the settings of engine LlamaCpp",
        ),
        (
            json!({ "spec.runtime.engine": "vLLM" }),
            "Unsupported value",
        ),
        (json!({ "spec.artifact": null }), "exactly one of artifact"),
        (
            json!({ "spec.models": [{ "name": "a", "artifact": { "image": format!("r.io/m@{DIGEST}") } }] }),
            "exactly one of artifact",
        ),
        (
            several(&["a", "b"], json!({ "spec.runtime.engine": "LlamaCpp" })),
            "engine LlamaCpp serves one model",
        ),
        (several(&["a"], json!({})), "at least 2 items"),
        (several(&["a"; 9], json!({})), "at most 8 items"),
        (
            several(&["a", "b", "a"], json!({})),
            "give each model another one",
        ),
        (several(&["a", "b$(HOME)"], json!({})), "should match"),
        (
            several(&["a", "b"], json!({ "spec.servedModelName": "c" })),
            "leave servedModelName out",
        ),
        (
            several(
                &["a", "b"],
                json!({ "spec.runtime.ollama": { "mode": "Embedding" } }),
            ),
            "write them in its entry of models",
        ),
        (
            several(
                &["a", "b"],
                json!({ "spec.runtime.ollama": { "template": "x" } }),
            ),
            "write them in its entry of models",
        ),
        (
            several(
                &["a", "b"],
                json!({ "spec.runtime.ollama": { "stop": ["x"] } }),
            ),
            "write them in its entry of models",
        ),
        (
            several(
                &["a", "b"],
                json!({ "spec.runtime.ollama": { "maxLoadedModels": 3 } }),
            ),
            "at most as many as there are",
        ),
        (
            several(
                &["a", "b"],
                json!({ "spec.runtime.ollama": { "maxLoadedModels": 0 } }),
            ),
            "greater than or equal to 1",
        ),
        (
            json!({ "spec.runtime": { "engine": "Ollama", "ollama": { "maxLoadedModels": 1 } } }),
            "or leave it out",
        ),
        (
            several(
                &["a", "b"],
                json!({ "spec.delivery": { "persistentVolumeClaim": { "accessMode": "ReadWriteOncePod" } }, "spec.rollout": { "type": "Recreate" } }),
            ),
            "ReadWriteOnce or ReadWriteMany",
        ),
        (
            json!({ "spec.artifact": null, "spec.runtime.engine": "Ollama", "spec.models": [entry("a"), with(entry("b"), &json!({ "mode": "Rerank" }))] }),
            "Ollama ranks no documents",
        ),
        (
            json!({ "spec.artifact": null, "spec.runtime.engine": "Ollama", "spec.models": [entry("a"), with(entry("b"), &json!({ "mode": "Embedding", "template": "x" }))] }),
            "leave template out",
        ),
        (
            json!({ "spec.delivery": { "persistentVolumeClaim": { "accessMode": "ReadWriteOncePod" } } }),
            "rollout.type: Recreate",
        ),
        (
            json!({ "spec.delivery": { "persistentVolumeClaim": { "accessMode": "ReadWriteOncePod" } }, "spec.rollout": { "type": "Recreate" }, "spec.replicas": 2 }),
            "replicas: 1",
        ),
        (
            adapters(&["a", "b", "c", "d", "e"], json!({})),
            "at most 4 items",
        ),
        (
            adapters(&["a", "a"], json!({})),
            "give each adapter another one",
        ),
        (adapters(&["A"], json!({})), "should match"),
        (
            adapters(&["a"], json!({ "scale": "much" })),
            "write a scale from -99 to 99",
        ),
        (
            adapters(&["a"], json!({ "scale": "1,/etc/x:1" })),
            "may not be more than 8",
        ),
        (adapters(&["a"], json!({ "scale": "1:2" })), "write a scale"),
        (
            adapters(&["a"], json!({ "scale": 0.5 })),
            "must be of type string",
        ),
        (
            adapters(&["a"], json!({ "artifact": { "image": "r.io/m:v1" } })),
            "by digest, not by tag",
        ),
        (
            json!({ "spec.runtime": { "engine": "Ollama", "llamaCpp": { "adapters": [entry("a")] } } }),
            "llamaCpp holds the settings of engine LlamaCpp",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "adapters": [entry("a")] }, "spec.delivery": { "persistentVolumeClaim": { "accessMode": "ReadWriteOncePod" } }, "spec.rollout": { "type": "Recreate" } }),
            "ReadWriteOnce or ReadWriteMany",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "mode": "Embedding", "projector": { "artifact": entry("a")["artifact"] } } }),
            "leave projector out, or write mode: Completion",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "projector": {} } }),
            "Required value",
        ),
        (json!({ "metadata.name": "a".repeat(41) }), "at most 40"),
        (json!({ "metadata.name": "7b" }), "beginning with a letter"),
        (json!({ "spec.replicas": 101 }), "less than or equal to 100"),
        (
            json!({ "spec.access": { "from": vec![json!({ "podSelector": {} }); 17] } }),
            "at most 16 items",
        ),
        (
            json!({ "spec.access": { "from": [{ "ipBlock": { "cidr": "${LOAD_BALANCER}/32" } }] } }),
            "write an address block",
        ),
        (
            json!({ "spec.access": { "from": [{ "ipBlock": { "cidr": "0.0.0.0/0", "except": ["192.0.2.9"] } }] } }),
            "write an address block",
        ),
        (
            json!({ "spec.resources": { "limits": { "memory": "much" } } }),
            "should match",
        ),
        (
            json!({ "spec.artifact.pullSecrets": [{ "name": "No Name" }] }),
            "should match",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "contextLength": 1 } }),
            "greater than or equal to 256",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "mode": "Chat" } }),
            "Unsupported value",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "pooling": "Mean" } }),
            "write mode: Embedding",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "mode": "Rerank", "chatTemplate": "{{ messages }}" } }),
            "leave chatTemplate out",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "batchSize": 512, "microBatchSize": 1024 } }),
            "at most batchSize",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "gpuLayers": 1000 } }),
            "less than or equal to 999",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "flashAttention": "Off" } }),
            "Unsupported value",
        ),
        (
            json!({ "spec.runtime.llamaCpp": { "chatTemplate": "x".repeat(16_385) } }),
            "may not be more than 16384",
        ),
        (
            json!({ "spec.runtime.engine": "Ollama", "spec.runtime.ollama": { "mode": "Rerank" } }),
            "Ollama ranks no documents",
        ),
        (json!({ "spec.runtime.output": "All" }), "Unsupported value"),
        (
            json!({ "spec.runtime.supplementalGroups": [0] }),
            "greater than or equal to 1",
        ),
        (
            json!({ "spec.scheduling": { "runtimeClassName": "No Class" } }),
            "should match",
        ),
        (
            json!({ "spec.scheduling": { "topologySpread": [{ "topologyKey": "zone", "maxSkew": 0 }] } }),
            "greater than or equal to 1",
        ),
        (json!({ "spec.servedModelName": "--host" }), "should match"),
        (
            json!({ "spec.servedModelName": "a$(HOME)" }),
            "should match",
        ),
        (
            json!({ "spec.limits": { "concurrentRequests": 0 } }),
            "greater than or equal to 1",
        ),
        (
            json!({ "spec.limits": { "queuedRequests": 513 } }),
            "less than or equal to 512",
        ),
        (
            json!({ "spec.limits": { "queueSeconds": 0 } }),
            "greater than or equal to 1",
        ),
        (
            json!({ "spec.limits": { "perCaller": { "requestsPerMinute": 60 } } }),
            "write access.apiKeys or access.jwt",
        ),
        (
            json!({ "spec.limits": { "perCaller": {} } }),
            "or leave perCaller out",
        ),
        (
            json!({ "spec.limits": { "perCaller": { "tokensPerDay": 0 } } }),
            "greater than or equal to 1",
        ),
        (
            json!({ "spec.limits": { "bodyBytes": 16_777_217 } }),
            "less than or equal to 16777216",
        ),
    ];
    for (index, (changes, says)) in cases.iter().enumerate() {
        let object = with(good(&format!("bad-{index}")), changes);
        let object = serde_json::from_value(object).unwrap();
        let error = api
            .create(&PostParams::default(), &object)
            .await
            .expect_err(says)
            .to_string();
        assert!(error.contains(says), "case {index}: {error}");
    }
}

#[tokio::test]
async fn fills_in_defaults_and_keeps_what_cannot_change() {
    let Some(server) = server::shared().await else {
        return;
    };
    let client = server.client().await;
    server::namespace(&client, "defaults").await;
    let api: Api<ModelDeployment> = Api::namespaced(client, "defaults");
    let object = serde_json::from_value(good("assistant")).unwrap();
    let made = api.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(made.spec.replicas, 1);
    assert_eq!(made.spec.drain_seconds, 120);
    assert_eq!(made.spec.seal.mode.as_str(), "Enforced");
    assert_eq!(made.spec.limits, Limits::default());

    let merge = |spec: Value| Patch::Merge(json!({ "spec": spec }));
    let params = PatchParams::default();
    let other = json!({ "delivery": { "persistentVolumeClaim": { "storageClassName": "fast" } } });
    let error = api
        .patch("assistant", &params, &merge(other))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("delivery cannot change"), "{error}");
    let two = with(
        good("two"),
        &several(
            &["a", "b"],
            json!({ "spec.runtime.ollama": { "maxLoadedModels": 2 } }),
        ),
    );
    let two = serde_json::from_value(two).unwrap();
    let made = api.create(&PostParams::default(), &two).await.unwrap();
    assert_eq!(made.served_names(), ["a", "b"]);
    // A null is no value: the rules see a field that is not there.
    let none = json!({ "runtime": { "ollama": null }, "models": null });
    api.patch("assistant", &params, &merge(none)).await.unwrap();

    let scaled = json!({ "spec": { "replicas": 3 } });
    api.patch_scale("assistant", &params, &Patch::Merge(scaled))
        .await
        .unwrap();
    assert_eq!(api.get("assistant").await.unwrap().spec.replicas, 3);
    assert_eq!(
        api.get_scale("assistant")
            .await
            .unwrap()
            .spec
            .unwrap()
            .replicas,
        Some(3)
    );
}
