//! The address of the model.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::deployment::selector;
use crate::api::ModelDeployment;
use crate::controller::names::child_meta;

/// The API's port.
pub const PORT: i32 = 8080;

/// The Service; its name is the object's.
#[must_use]
pub fn build(object: &ModelDeployment) -> Service {
    let port = |name: &str, number| ServicePort {
        name: Some(name.to_owned()),
        port: number,
        target_port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    // A mesh or an ingress in front learns from it what to speak.
    let api = ServicePort {
        app_protocol: object.spec.access.tls.as_ref().map(|_| "https".to_owned()),
        ..port(scheme(object), PORT)
    };
    Service {
        metadata: child_meta(object, object.name_any(), "model"),
        spec: Some(ServiceSpec {
            selector: Some(selector(object)),
            ports: Some(vec![api, port("metrics", 8082)]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// What the API is served over, and the name of its port.
#[must_use]
pub fn scheme(object: &ModelDeployment) -> &'static str {
    match object.spec.access.tls {
        Some(_) => "https",
        None => "http",
    }
}

/// The base URL of the OpenAI API.
#[must_use]
pub fn url(object: &ModelDeployment) -> String {
    let namespace = object.namespace().unwrap_or_default();
    let (scheme, name) = (scheme(object), object.name_any());
    format!("{scheme}://{name}.{namespace}.svc:{PORT}/v1")
}
