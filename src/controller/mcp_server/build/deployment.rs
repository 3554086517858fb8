//! The Deployment of the server's pods.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::super::bind::Binding;
use super::super::validate::Server;
use super::{gate, server};
use crate::api::McpServer;
use crate::controller::config::Config;
use crate::controller::names::{
    COMPONENT, INSTANCE, MCP, NAME, OWNER_UID, SEALED, child_meta, labels_of, uid,
};
use crate::controller::pod;
use crate::controller::serving::{access, template};

/// What the pods are made from beside the object itself.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The validated object.
    pub server: &'a Server,
    /// Its models; those that are not bound are left out.
    pub bindings: &'a [Binding],
    /// One or two public keys, PEM, that challenges may be signed with.
    pub verify_keys: &'a str,
    /// The platform's configuration.
    pub config: &'a Config,
}

/// Selects the pods of exactly this object, whatever bore its name before.
#[must_use]
pub fn selector(object: &McpServer) -> BTreeMap<String, String> {
    let mut labels = labels_of(MCP, "mcp", &object.name_any());
    labels.retain(|key, _| [NAME, INSTANCE, COMPONENT].contains(&key.as_str()));
    labels.insert(OWNER_UID.to_owned(), uid(object).to_owned());
    labels
}

/// The labels of the pods: what peers of other objects can name them by.
#[must_use]
pub fn pod_labels(object: &McpServer, sealed: bool) -> BTreeMap<String, String> {
    let mut labels = labels_of(MCP, "mcp", &object.name_any());
    labels.insert(OWNER_UID.to_owned(), uid(object).to_owned());
    if sealed {
        labels.insert(SEALED.to_owned(), "mcp".to_owned());
    }
    labels
}

/// The Deployment; its name is the object's.
#[must_use]
pub fn build(object: &McpServer, inputs: &Inputs<'_>) -> Deployment {
    let spec = &object.spec;
    Deployment {
        metadata: child_meta(object, object.name_any(), "mcp"),
        spec: Some(template::deployment(
            spec.replicas,
            &selector(object),
            spec.rollout.rollout_type,
            pods(object, inputs),
        )),
        status: None,
    }
}

fn pods(object: &McpServer, inputs: &Inputs<'_>) -> PodTemplateSpec {
    let spec = &object.spec;
    let mut pod = pod::base(inputs.config, &spec.scheduling, None);
    pod::schedule(&mut pod, &spec.scheduling, &selector(object));
    pod.termination_grace_period_seconds = Some(spec.drain_seconds);
    pod.readiness_gates = inputs.server.sealed.then(template::readiness_gates);
    pod.host_aliases = (!spec.host_aliases.is_empty()).then(|| spec.host_aliases.clone());
    pod.init_containers = Some(vec![gate::copy(inputs), gate::build(object, inputs)]);
    pod.containers = vec![server::build(object, inputs)];
    let mut volumes = server::volumes(object);
    volumes.extend(access::volumes(&spec.access));
    volumes.extend(gate::volumes(inputs.bindings));
    pod.volumes = Some(volumes);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels(object, inputs.server.sealed)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod),
    }
}
