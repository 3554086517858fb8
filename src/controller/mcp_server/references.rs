//! Which server names which model, by the stores.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::ResourceExt;
use kube::api::PartialObjectMeta;
use kube::runtime::reflector::Store;

use super::bind::{Binding, bind};
use super::target::Target;
use super::way::Found;
use crate::api::{McpServer, ModelDeployment};
use crate::controller::config::Config;
use crate::controller::model_deployment::build::edge_policy::Server;
use crate::controller::names::uid;
use crate::controller::stores::lookup;
use crate::policy::Labels;

/// Servers of one namespace that a model lets in because they name it: more would make a policy without bound.
pub const MOST: usize = 64;

/// The targets of a server's models.
fn targets(server: &McpServer) -> impl Iterator<Item = Target> + '_ {
    let own = server.namespace().unwrap_or_default();
    (server.spec.models.iter()).filter_map(move |binding| Target::of(binding, &own))
}

/// Whether the server names the model.
#[must_use]
pub fn names_model(server: &McpServer, model: &ModelDeployment) -> bool {
    let (namespace, name) = (model.namespace().unwrap_or_default(), model.name_any());
    targets(server).any(|target| {
        matches!(target, Target::Deployment { .. }) && target.key() == (&namespace, &name)
    })
}

/// Whether the server names the Service, or the model whose Service it is.
#[must_use]
pub fn names_service(server: &McpServer, service: &Service) -> bool {
    let (namespace, name) = (service.namespace().unwrap_or_default(), service.name_any());
    targets(server).any(|target| target.key() == (&namespace, &name))
}

/// The servers of the model's own namespace that name it, at most [`MOST`], in the order of their UIDs. Those that were made
/// first have the places, so that none which asks already is shut out by one that is made later.
#[must_use]
pub fn servers_of(store: &Store<McpServer>, model: &ModelDeployment) -> Vec<Server> {
    let mut found = store.state_filter(|server| {
        server.metadata.namespace == model.metadata.namespace
            && server.metadata.deletion_timestamp.is_none()
            && names_model(server, model)
    });
    let made = |server: &McpServer| server.metadata.creation_timestamp.as_ref().map(|at| at.0);
    found.sort_by(|one, other| (made(one), uid(&**one)).cmp(&(made(other), uid(&**other))));
    found.truncate(MOST);
    let mut servers: Vec<Server> = found
        .iter()
        .map(|server| Server {
            uid: uid(&**server).to_owned(),
            name: server.name_any(),
        })
        .collect();
    servers.sort();
    servers
}

/// Whether other servers of its namespace have all the places at the model.
fn is_full_for(store: &Store<McpServer>, model: &ModelDeployment, server: &McpServer) -> bool {
    // One that is being deleted keeps what its pods have until they are gone.
    if server.metadata.namespace != model.metadata.namespace
        || server.metadata.deletion_timestamp.is_some()
    {
        return false;
    }
    let servers = servers_of(store, model);
    servers.len() == MOST && servers.iter().all(|one| one.uid != uid(server))
}

/// Where models are looked up.
#[derive(Clone)]
pub struct Targets {
    /// All of them.
    pub model_deployments: Store<ModelDeployment>,
    /// All of them.
    pub services: Store<Service>,
    /// All of them.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    /// All of them: a model has places for so many.
    pub mcp_servers: Store<McpServer>,
}

impl Targets {
    /// The models of a server as they are now.
    #[must_use]
    pub fn bind(&self, server: &McpServer, config: &Config) -> Vec<Binding> {
        if server.spec.models.is_empty() {
            return Vec::new();
        }
        let namespaces: BTreeMap<String, Labels> = self
            .namespaces
            .state()
            .iter()
            .map(|namespace| (namespace.name_any(), namespace.labels().clone()))
            .collect();
        let own = server.namespace().unwrap_or_default();
        let models = server.spec.models.iter().enumerate();
        models
            .filter_map(|(index, binding)| {
                let target = Target::of(binding, &own)?;
                let (namespace, name) = target.key();
                let model = matches!(target, Target::Deployment { .. })
                    .then(|| lookup(&self.model_deployments, namespace, name))
                    .flatten()
                    .filter(|model| model.metadata.deletion_timestamp.is_none());
                let service = lookup(&self.services, namespace, name);
                let found = Found {
                    // A Service of the model's name that is somebody else's leads elsewhere.
                    service: service.as_deref().filter(|service| {
                        model
                            .as_deref()
                            .is_none_or(|model| owned(service, uid(model)))
                    }),
                    model: model.as_deref(),
                    full: model
                        .as_deref()
                        .is_some_and(|model| is_full_for(&self.mcp_servers, model, server)),
                };
                bind(server, index, &found, &namespaces, config)
            })
            .collect()
    }
}

fn owned(service: &Service, uid: &str) -> bool {
    let mut owners = service.owner_references().iter();
    owners.any(|owner| owner.uid == uid)
}

#[cfg(test)]
#[path = "references_tests.rs"]
mod tests;
