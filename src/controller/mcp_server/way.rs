//! The way to a model, or why there is none; pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::target::Target;
use crate::api::{ConditionType, ModelDeployment, Reason};
use crate::controller::conditions::is_true;
use crate::controller::names::uid;
use crate::controller::serving::{access, edge};

/// The port of a ModelDeployment's pods.
pub const MODEL_PORT: u16 = 8080;

/// What the stores have of one target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// The ModelDeployment.
    pub model: Option<&'a ModelDeployment>,
    /// Its Service, or the Service that is named.
    pub service: Option<&'a Service>,
    /// Whether other servers of its namespace have all the places that the model has for those that name it.
    pub full: bool,
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

/// The way to a ModelDeployment, whose Service has it.
///
/// # Errors
/// No CA to check it against, or no address yet.
pub(super) fn to_model(
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

/// The way to a Service by its selector.
///
/// # Errors
/// It leads to no pods that could be named, or to DNS.
pub(super) fn to_service(
    target: &Target,
    service: &Service,
    port: u16,
    path: &str,
) -> Result<Way, Unbound> {
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
        // Its pods are not watched: the gates say when nobody takes connections there.
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
    let at = SocketAddr::new(address, port);
    format!("{scheme}://{at}{path}")
}

fn no_address(target: &Target, why: &str) -> Unbound {
    Unbound {
        reason: Reason::NoAddress,
        message: format!("{target} cannot be asked: {why}"),
    }
}
