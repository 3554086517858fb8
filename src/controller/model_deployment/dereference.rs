//! Reads what the stores know about one object, for its status.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;

use super::build::artifact;
use super::validate::Model;
use super::{exits, memory_of};
use crate::api::model_deployment::TenantGuard;
use crate::api::{ModelArtifact, ModelDeployment};
use crate::controller::context::Context;
use crate::controller::seal_view::SealView;
use crate::controller::stores::lookup;
use crate::gguf::Memory;

/// What the stores know.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its artifact.
    pub artifact: Option<Arc<ModelArtifact>>,
    /// Its Deployment.
    pub deployment: Option<Arc<Deployment>>,
    /// The memory of the runtime.
    pub memory: Option<Memory>,
    /// What is proven about its pods.
    pub seal: SealView,
    /// Every declared way in and out.
    pub exits: Vec<String>,
    /// What the tenant guard refuses in its namespace.
    pub guard: TenantGuard,
}

impl Seen {
    /// Looks everything up.
    #[must_use]
    pub fn read(this: &ModelDeployment, model: Option<&Model>, ctx: &Context) -> Self {
        let namespace = this.namespace().unwrap_or_default();
        let artifact = model.and_then(|model| {
            let name = artifact::name(&model.image, this);
            lookup(&ctx.stores.model_artifacts, &namespace, &name)
        });
        Self {
            memory: model
                .zip(artifact.as_ref())
                .and_then(|(model, artifact)| memory_of(model, artifact)),
            artifact,
            deployment: lookup(&ctx.stores.deployments, &namespace, &this.name_any()),
            seal: ctx.seal_of(this),
            exits: exits::of(this, &ctx.config),
            guard: ctx.stores.guard(&namespace),
        }
    }
}
