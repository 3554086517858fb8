//! Plays the controllers and the kubelet: there are none beside this API server.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

/// What a Job's pod says when it ends well.
pub fn message(result: &str, digest: &str) -> Value {
    json!({ "v": 1, "result": result, "reason": result, "message": "", "artifact": {
        "digest": digest, "format": "GGUF", "files": 1, "filesDigest": digest, "bytes": 98_362_432,
        "license": "apache-2.0", "architecture": "llama", "quantization": "Q4_1", "entry": "model.gguf",
        "geometry": { "weightBytes": 96_600_000, "contextLength": 8192, "vocabulary": 49152,
            "keyLength": 64, "valueLength": 64, "layers": [{ "count": 30, "kvHeads": 3 }] },
    }})
}

/// Runs a Job's pod to its end.
pub async fn finish(client: &Client, job: &Job, exit: i32, message: &Value) {
    let namespace = job.namespace().unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let template = job.spec.clone().unwrap().template;
    let mut pod = Pod {
        metadata: template.metadata.unwrap(),
        spec: template.spec,
        status: None,
    };
    let name = format!("{}-xyz12", job.name_any());
    pod.metadata.name = Some(name.clone());
    pod.metadata.owner_references = Some(vec![job.controller_owner_ref(&()).unwrap()]);
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let phase = if exit == 0 { "Succeeded" } else { "Failed" };
    let status = json!({ "status": { "phase": phase, "containerStatuses": [{
        "name": "pull", "image": "i", "imageID": "i", "ready": false, "restartCount": 0,
        "state": { "terminated": { "exitCode": exit, "message": message.to_string() } },
    }]}});
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let condition =
        |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": now });
    // The API server checks that the conditions of a Job's end fit each other.
    let status = if exit == 0 {
        json!({ "startTime": now, "completionTime": now, "succeeded": 1,
            "conditions": [condition("SuccessCriteriaMet"), condition("Complete")] })
    } else {
        json!({ "startTime": now, "failed": 1,
            "conditions": [condition("FailureTarget"), condition("Failed")] })
    };
    let status = json!({ "status": status });
    jobs.patch_status(
        &job.name_any(),
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await
    .unwrap();
}

/// Says that all pods of a Deployment serve.
pub async fn serve(client: &Client, deployment: &Deployment) {
    let api: Api<Deployment> = Api::namespaced(client.clone(), &deployment.namespace().unwrap());
    let status = json!({ "status": {
        "observedGeneration": deployment.metadata.generation, "replicas": 1, "updatedReplicas": 1,
        "readyReplicas": 1, "availableReplicas": 1,
    }});
    api.patch_status(
        &deployment.name_any(),
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await
    .unwrap();
}
