//! Where each model of a server is, or why it cannot be asked; pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::api::mcp_server::{InjectedVar, KeyRef, ModelBinding};
use crate::api::{ConditionType, McpServer, ModelDeployment, Reason};
use crate::controller::conditions::is_true;
use crate::controller::config::Config;
use crate::controller::model_deployment::build::{deployment, edge_policy};
use crate::controller::names::uid;
use crate::controller::serving::{access, edge};
use crate::policy::{Direction, Labels, Pod, Policy, Protocol, Remote, permits};

/// The first port of 127.0.0.1 at which the gate offers a model; each has one.
pub const FIRST_PORT: u16 = 11_500;
/// The port of a ModelDeployment's pods.
const MODEL_PORT: u16 = 8080;

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

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Deployment { .. } => "ModelDeployment",
            Self::Service { .. } => "Service",
        };
        let (namespace, name) = self.key();
        write!(f, "{kind} {namespace}/{name}")
    }
}

/// What the stores have of one target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// The ModelDeployment.
    pub model: Option<&'a ModelDeployment>,
    /// Its Service, or the Service that is named.
    pub service: Option<&'a Service>,
}

/// The way to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The base URL at the Service's address.
    pub url: String,
    /// The name in the certificate, where the model serves TLS.
    pub tls_name: Option<String>,
    /// The namespace of the pods behind it.
    pub namespace: String,
    /// Their labels.
    pub labels: BTreeMap<String, String>,
    /// Their port.
    pub port: IntOrString,
    /// Whether it serves, as far as that is known.
    pub ready: bool,
}

/// Why a model cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbound {
    /// Why.
    pub reason: Reason,
    /// What to do.
    pub message: String,
}

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

    /// `Bound`, or why it cannot be asked.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match &self.way {
            Ok(way) if way.ready => Reason::Bound,
            Ok(_) => Reason::ModelNotReady,
            Err(unbound) => unbound.reason,
        }
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
                serves(&target, model, binding)?;
                to_model(&target, model, found, binding.ca_config_map_ref.is_some())
            }),
        Target::Service { port, path, .. } => found
            .service
            .ok_or_else(|| not_found(&target))
            .and_then(|service| to_service(&target, service, *port, path)),
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

fn to_model(
    target: &Target,
    model: &ModelDeployment,
    found: &Found<'_>,
    ca: bool,
) -> Result<Way, Unbound> {
    let (namespace, name) = target.key();
    let tls = model.spec.access.tls.is_some();
    if tls && !ca {
        return Err(Unbound {
            reason: Reason::CaMissing,
            message: format!(
                "{target} serves TLS: write caConfigMapRef with the CA that signed its certificate"
            ),
        });
    }
    let address = found
        .service
        .and_then(cluster_ip)
        .ok_or_else(|| no_address(target, "its Service is not there yet"))?;
    let scheme = access::scheme(&model.spec.access);
    Ok(Way {
        url: url(scheme, address, MODEL_PORT, "/v1"),
        tls_name: tls.then(|| format!("{name}.{namespace}.svc")),
        namespace: namespace.to_owned(),
        labels: edge::owner(uid(model)),
        port: IntOrString::Int(i32::from(MODEL_PORT)),
        ready: model
            .status
            .as_ref()
            .is_some_and(|status| is_true(&status.conditions, ConditionType::Available)),
    })
}

fn to_service(target: &Target, service: &Service, port: u16, path: &str) -> Result<Way, Unbound> {
    let spec = service.spec.clone().unwrap_or_default();
    let labels = spec.selector.unwrap_or_default();
    if labels.is_empty() {
        return Err(no_address(
            target,
            "it selects no pods by labels, so no edge could lead to them alone",
        ));
    }
    let address = cluster_ip(service).ok_or_else(|| {
        no_address(
            target,
            "it has no cluster address: a headless Service or an ExternalName has none",
        )
    })?;
    let named = spec.ports.unwrap_or_default().into_iter().find(|one| {
        one.port == i32::from(port) && one.protocol.as_deref().unwrap_or("TCP") == "TCP"
    });
    let named = named.ok_or_else(|| no_address(target, &format!("it has no TCP port {port}")))?;
    let there = named.target_port.unwrap_or(IntOrString::Int(named.port));
    if leads_to_dns(&there) {
        return Err(no_address(
            target,
            "its pods' port is that of DNS, which leads out of the cluster",
        ));
    }
    Ok(Way {
        url: url("http", address, port, path),
        tls_name: None,
        namespace: target.key().0.to_owned(),
        labels,
        port: there,
        ready: true,
    })
}

/// The ports that no edge may lead to, as `spec.egress` refuses them.
fn leads_to_dns(port: &IntOrString) -> bool {
    match port {
        IntOrString::Int(number) => *number == 53,
        IntOrString::String(name) => matches!(name.as_str(), "dns" | "dns-tcp" | "domain"),
    }
}

/// The first cluster address; a headless Service has the word None there.
fn cluster_ip(service: &Service) -> Option<IpAddr> {
    service.spec.as_ref()?.cluster_ip.as_ref()?.parse().ok()
}

fn url(scheme: &str, address: IpAddr, port: u16, path: &str) -> String {
    let at = std::net::SocketAddr::new(address, port);
    format!("{scheme}://{at}{path}")
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

fn no_address(target: &Target, why: &str) -> Unbound {
    Unbound {
        reason: Reason::NoAddress,
        message: format!("{target} cannot be asked: {why}"),
    }
}

#[cfg(test)]
#[path = "bind_tests.rs"]
mod tests;
