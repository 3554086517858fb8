//! What a server's binding names; pure.

use std::fmt;

use crate::api::mcp_server::ModelBinding;

/// What a binding names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A ModelDeployment.
    Deployment {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The Service's port.
        port: u16,
        /// The base path of the API.
        path: String,
    },
}

impl Target {
    /// What a binding of an object in this namespace names.
    #[must_use]
    pub fn of(binding: &ModelBinding, own: &str) -> Option<Self> {
        let namespace = |written: &Option<String>| written.clone().unwrap_or_else(|| own.into());
        let deployment = binding.model_deployment_ref.as_ref();
        let deployment = deployment.map(|model| Self::Deployment {
            namespace: namespace(&model.namespace),
            name: model.name.clone(),
        });
        let service = binding.service.as_ref().map(|service| Self::Service {
            namespace: namespace(&service.namespace),
            name: service.name.clone(),
            port: service.port,
            path: service.path.clone(),
        });
        deployment.or(service)
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> (&str, &str) {
        match self {
            Self::Deployment { namespace, name }
            | Self::Service {
                namespace, name, ..
            } => (namespace, name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Deployment { .. } => "ModelDeployment",
            Self::Service { .. } => "Service",
        };
        let (namespace, name) = self.key();
        write!(f, "{kind} {namespace}/{name}")
    }
}
