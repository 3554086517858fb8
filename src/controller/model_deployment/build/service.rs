//! The address of the model.

use k8s_openapi::api::core::v1::Service;

use super::deployment::selector;
use crate::api::ModelDeployment;
use crate::controller::serving::service;

/// The Service; its name is the object's.
#[must_use]
pub fn build(object: &ModelDeployment) -> Service {
    let spec = &object.spec;
    let lone = service::lone(&spec.rollout, spec.replicas);
    service::build(object, "model", selector(object), &spec.access, lone)
}

/// The base URL of the OpenAI API.
#[must_use]
pub fn url(object: &ModelDeployment) -> String {
    service::url(object, &object.spec.access, "/v1")
}
