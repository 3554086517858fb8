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
    Service {
        metadata: child_meta(object, object.name_any(), "model"),
        spec: Some(ServiceSpec {
            selector: Some(selector(object)),
            ports: Some(vec![port("http", PORT), port("metrics", 8082)]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The base URL of the OpenAI API.
#[must_use]
pub fn url(object: &ModelDeployment) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("http://{}.{namespace}.svc:{PORT}/v1", object.name_any())
}
