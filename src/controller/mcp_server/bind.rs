//! Where each model of a server is, or why it cannot be asked; pure.

use std::collections::BTreeMap;

use kube::ResourceExt;

use super::references::MOST;
use super::target::Target;
use super::way::{self, Found, MODEL_PORT, Unbound, Way};
use crate::api::mcp_server::{InjectedVar, KeyRef, ModelBinding};
use crate::api::{McpServer, ModelDeployment, Reason};
use crate::controller::config::Config;
use crate::controller::model_deployment::build::{deployment, edge_policy};
use crate::policy::{Direction, Labels, Pod, Policy, Protocol, Remote, permits};

/// The first port of 127.0.0.1 at which the gate offers a model; each has one.
pub const FIRST_PORT: u16 = 11_500;

/// One model of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What is named.
    pub target: Target,
    /// Where the gate offers it.
    pub port: u16,
    /// What requests carry as `model`, where that is known.
    pub model: Option<String>,
    /// The variables that tell the server about it.
    pub env: Vec<InjectedVar>,
    /// The Secret's entry with its key.
    pub key: Option<KeyRef>,
    /// The ConfigMap's entry with its CA.
    pub ca: Option<KeyRef>,
    /// The way to it.
    pub way: Result<Way, Unbound>,
}

impl Binding {
    /// Where the server asks it.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }
}

/// Binds model number `index` of a server. `namespaces` are the labels of all.
#[must_use]
pub fn bind(
    server: &McpServer,
    index: usize,
    found: &Found<'_>,
    namespaces: &BTreeMap<String, Labels>,
    config: &Config,
) -> Option<Binding> {
    let own = server.namespace().unwrap_or_default();
    let binding = server.spec.models.get(index)?;
    let target = Target::of(binding, &own)?;
    let way = match &target {
        Target::Deployment { namespace, .. } => found
            .model
            .ok_or_else(|| not_found(&target))
            .and_then(|model| {
                if *namespace != own && !lets_in(model, server, namespaces, config) {
                    return Err(not_granted(&target, server));
                }
                if found.full && !lets_in(model, server, namespaces, config) {
                    return Err(too_many(&target, server));
                }
                serves(&target, model, binding)?;
                way::to_model(&target, model, found, binding.ca_config_map_ref.is_some())
            }),
        Target::Service { port, path, .. } => found
            .service
            .ok_or_else(|| not_found(&target))
            .and_then(|service| way::to_service(&target, service, *port, path)),
    };
    let first = || found.model?.served_names().into_iter().next();
    Some(Binding {
        target,
        port: FIRST_PORT + u16::try_from(index).ok()?,
        model: written(binding).cloned().or_else(first),
        env: binding.environment(),
        key: binding.api_key_secret_ref.clone(),
        ca: binding.ca_config_map_ref.clone(),
        way,
    })
}

/// The name that the binding wants its requests to carry.
fn written(binding: &ModelBinding) -> Option<&String> {
    let deployment = binding.model_deployment_ref.as_ref();
    let service = binding.service.as_ref();
    (deployment.and_then(|one| one.model.as_ref()))
        .or_else(|| service.and_then(|one| one.model.as_ref()))
}

/// A name that the model does not serve would be refused at every call.
fn serves(target: &Target, model: &ModelDeployment, binding: &ModelBinding) -> Result<(), Unbound> {
    let names = model.served_names();
    match written(binding) {
        Some(name) if !names.contains(name) => Err(Unbound {
            reason: Reason::ModelNotFound,
            message: format!(
                "{target} serves no {name}: write one of {} in modelDeploymentRef.model",
                names.join(", ")
            ),
        }),
        _ => Ok(()),
    }
}

/// Whether the model's `access.from` names the server's pods, wherever they run: a peer by address names none.
fn lets_in(
    model: &ModelDeployment,
    server: &McpServer,
    namespaces: &BTreeMap<String, Labels>,
    config: &Config,
) -> bool {
    let edges = edge_policy::build(model, config, &[]);
    let model_pod = Pod {
        namespace: model.namespace().unwrap_or_default(),
        name: "model".to_owned(),
        labels: deployment::selector(model),
        ..Pod::default()
    };
    let server_pod = Pod {
        namespace: server.namespace().unwrap_or_default(),
        name: "server".to_owned(),
        labels: super::build::deployment::pod_labels(server, true),
        ..Pod::default()
    };
    permits(
        &[Policy::parse(&edges)],
        namespaces,
        &[],
        Direction::Ingress,
        &model_pod,
        Remote::Pod(&server_pod, None),
        MODEL_PORT,
        Protocol::Tcp,
    )
}

fn not_found(target: &Target) -> Unbound {
    Unbound {
        reason: Reason::ModelNotFound,
        message: format!("{target} is not there: make it, or name another one"),
    }
}

fn not_granted(target: &Target, server: &McpServer) -> Unbound {
    let namespace = server.namespace().unwrap_or_default();
    Unbound {
        reason: Reason::AccessNotGranted,
        message: format!(
            "{target} does not let this server in: have its owner add to access.from a peer with namespaceSelector kubernetes.io/metadata.name={namespace} and podSelector app.kubernetes.io/name=sealroom-mcp,app.kubernetes.io/instance={}",
            server.name_any()
        ),
    }
}

fn too_many(target: &Target, server: &McpServer) -> Unbound {
    Unbound {
        reason: Reason::TooManyServers,
        message: format!(
            "{target} lets in {MOST} servers of its namespace because they name it, and this one was made after them: delete one of them, or have its owner add to access.from a peer with podSelector app.kubernetes.io/name=sealroom-mcp,app.kubernetes.io/instance={}",
            server.name_any()
        ),
    }
}

#[cfg(test)]
#[path = "bind_tests.rs"]
mod tests;
