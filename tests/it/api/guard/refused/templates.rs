//! Objects of which controllers make pods.

use serde_json::{Value, json};

use super::Row;
use crate::api::guard::attempt::{Call, Who};
use crate::api::guard::world::{IMAGE, TEAM};

/// The attempts.
pub fn table() -> Vec<Row> {
    let template = json!({
        "metadata": { "labels": { "app": "own", "sealroom.dev/sealed": "serve" } },
        "spec": { "containers": [{ "name": "own", "image": IMAGE }] },
    });
    let mut job = template.clone();
    job["spec"]["restartPolicy"] = "Never".into();
    let selector = json!({ "matchLabels": { "app": "own" } });
    let meta = json!({ "name": "own" });
    let path = |group: &str, plural: &str| format!("/apis/{group}/v1/namespaces/{TEAM}/{plural}");
    let set = json!({ "metadata": meta, "spec": { "selector": selector, "template": template } });
    let cron = json!({ "metadata": meta, "spec": { "schedule": "@daily", "jobTemplate": { "spec": { "template": job } } } });
    let job = json!({ "metadata": meta, "spec": { "template": job } });
    let core =
        json!({ "metadata": meta, "spec": { "selector": { "app": "own" }, "template": template } });
    let says = "leave the labels out of the template";
    let create =
        |group: &str, plural: &str, body: &Value| Call::create(&path(group, plural), body.clone());
    vec![
        (
            Who::Tenant,
            "makes a Deployment of sealed pods",
            create("apps", "deployments", &set),
            says,
        ),
        (
            Who::Tenant,
            "makes a ReplicaSet of sealed pods",
            create("apps", "replicasets", &set),
            says,
        ),
        (
            Who::Tenant,
            "makes a StatefulSet of sealed pods",
            create("apps", "statefulsets", &set),
            says,
        ),
        (
            Who::Tenant,
            "makes a DaemonSet of sealed pods",
            create("apps", "daemonsets", &set),
            says,
        ),
        (
            Who::Tenant,
            "makes a Job of sealed pods",
            create("batch", "jobs", &job),
            says,
        ),
        (
            Who::Tenant,
            "makes a CronJob of sealed pods",
            create("batch", "cronjobs", &cron),
            says,
        ),
        (
            Who::Controller("cronjob-controller"),
            "makes a Job of sealed pods",
            create("batch", "jobs", &job),
            says,
        ),
        (
            Who::Tenant,
            "makes a ReplicationController of sealed pods",
            Call::create(
                &format!("/api/v1/namespaces/{TEAM}/replicationcontrollers"),
                core,
            ),
            says,
        ),
    ]
}
