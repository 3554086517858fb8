//! The address of the server.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::deployment::selector;
use crate::api::McpServer;
use crate::controller::serving::service;

/// The Service; its name is the object's. Sessions are in the memory of a pod, so a client stays with one.
#[must_use]
pub fn build(object: &McpServer) -> Service {
    let spec = &object.spec;
    let lone = service::lone(&spec.rollout, spec.replicas);
    let service = service::build(object, "mcp", selector(object), &spec.access, lone);
    service::same_pod(service, spec.isolation.idle_seconds)
}

/// The names by which pods of the cluster find it. The cluster's domain is not known here: the usual one is taken, and
/// another one is written in `spec.hosts`.
#[must_use]
pub fn names(object: &McpServer) -> [String; 4] {
    let (name, namespace) = (object.name_any(), object.namespace().unwrap_or_default());
    [
        name.clone(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.cluster.local"),
    ]
}

/// Where clients speak MCP.
#[must_use]
pub fn url(object: &McpServer) -> String {
    service::url(object, &object.spec.access, "/mcp")
}
