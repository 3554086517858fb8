//! Tells the driver what an object declares: the policies that are built for it, not those that are there.

use std::sync::Arc;

use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};

use super::config::Config;
use super::mcp_server::references::{self, Targets};
use super::names::uid;
use super::{mcp_server, model_artifact, model_deployment, sealed_policy};
use crate::api::model_deployment::OwnNode;
use crate::api::{McpServer, ModelArtifact, ModelDeployment};
use crate::driver::{Owner, Owners};
use crate::policy::{Declared, Policy};
use crate::seal::state;
use crate::types::ImageRef;

/// Answers from the stores.
pub struct StoreOwners {
    /// All of them.
    pub model_deployments: Store<ModelDeployment>,
    /// All of them.
    pub model_artifacts: Store<ModelArtifact>,
    /// All of them.
    pub mcp_servers: Store<McpServer>,
    /// What the models of MCP servers lead to.
    pub targets: Targets,
    /// The platform's configuration.
    pub config: Arc<Config>,
    /// The operator's own namespace.
    pub namespace: String,
}

impl Owners for StoreOwners {
    fn owner(&self, owner_uid: &str) -> Option<Owner> {
        if let Some(object) = self
            .model_deployments
            .find(|object| uid(object) == owner_uid)
        {
            let servers = references::servers_of(&self.mcp_servers, &object);
            let edges =
                model_deployment::build::edge_policy::build(&object, &self.config, &servers);
            let own_node = own_node(object.spec.seal.own_node);
            return Some(self.declare(&*object, &edges, Some(own_node)));
        }
        if let Some(object) = self.mcp_servers.find(|object| uid(object) == owner_uid) {
            let bindings = self.targets.bind(&object, &self.config);
            let edges = mcp_server::build::edge_policy::build(&object, &bindings, &self.config);
            let own_node = own_node(object.spec.seal.own_node);
            return Some(self.declare(&*object, &edges, Some(own_node)));
        }
        let object = self
            .model_artifacts
            .find(|object| uid(object) == owner_uid)?;
        let image: ImageRef = object.spec.image.parse().ok()?;
        let registry = self.config.registry(image.registry())?;
        let edges = model_artifact::build::edge_policy::build(&object, registry);
        Some(self.declare(&*object, &edges, None))
    }
}

fn own_node(written: OwnNode) -> state::OwnNode {
    match written {
        OwnNode::Report => state::OwnNode::Report,
        OwnNode::Require => state::OwnNode::Require,
    }
}

impl StoreOwners {
    fn declare<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        edges: &k8s_openapi::api::networking::v1::NetworkPolicy,
        own_node: Option<state::OwnNode>,
    ) -> Owner {
        let namespace = object.namespace().unwrap_or_default();
        let shared = sealed_policy::build(&namespace, &self.namespace);
        Owner {
            reference: object.object_ref(&()),
            declared: Declared {
                policies: vec![Policy::parse(&shared), Policy::parse(edges)],
            },
            own_node,
        }
    }
}
