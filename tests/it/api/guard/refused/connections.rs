//! What leads into pods, and the claim, in the namespace with the label of the guard.

use serde_json::json;

use super::Row;
use crate::api::guard::attempt::{Call, Who};
use crate::api::guard::world::{CLOSED, IMAGE, World, plain};

const CLOSED_NAMESPACE: &str = "This namespace is sealed";

/// The attempts.
pub fn table(world: &World) -> Vec<Row> {
    use Who::{Lead, Tenant};
    let pod = format!("/api/v1/namespaces/{CLOSED}/pods/own");
    let debug = json!({ "spec": { "ephemeralContainers": [{ "name": "debug", "image": IMAGE }] } });
    let to = |what: &str| Call::connect(&format!("{pod}/{what}"));
    let mut thief = plain(CLOSED);
    thief["metadata"]["name"] = "thief".into();
    let claim = world.name("PersistentVolumeClaim", "");
    thief["spec"]["volumes"] =
        json!([{ "name": "model", "persistentVolumeClaim": { "claimName": claim } }]);
    let pods = format!("/api/v1/namespaces/{CLOSED}/pods");
    let service = format!("/api/v1/namespaces/{CLOSED}/services/assistant:http/proxy/v1/models");
    vec![
        (
            Tenant,
            "execs",
            to("exec?command=id&stdout=true"),
            CLOSED_NAMESPACE,
        ),
        (
            Tenant,
            "attaches",
            to("attach?stdout=true"),
            CLOSED_NAMESPACE,
        ),
        (
            Tenant,
            "forwards a port",
            to("portforward?ports=8080"),
            CLOSED_NAMESPACE,
        ),
        (
            Tenant,
            "goes through the API server to a pod",
            to("proxy/v1/models"),
            CLOSED_NAMESPACE,
        ),
        (
            Tenant,
            "goes through the API server to a Service",
            Call::connect(&service),
            CLOSED_NAMESPACE,
        ),
        (
            Lead,
            "debugs a pod",
            Call::strategic(&format!("{pod}/ephemeralcontainers"), debug),
            CLOSED_NAMESPACE,
        ),
        (
            Tenant,
            "mounts a claim with a model",
            Call::create(&pods, thief),
            "only its pods mount them",
        ),
    ]
}
