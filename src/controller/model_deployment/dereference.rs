//! Reads what the stores know about one object, for its status.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;

use super::artifacts::memory_of;
use super::build::artifact;
use super::exits;
use super::parts::Part;
use super::validate::Model;
use crate::api::model_deployment::TenantGuard;
use crate::api::{ModelArtifact, ModelDeployment};
use crate::controller::context::Context;
use crate::controller::names::uid;
use crate::controller::seal_view::SealView;
use crate::controller::stores::lookup;
use crate::gguf::{Kind, Need};
use crate::types::ImageRef;

/// What the stores know.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its models by name, each with its artifact if that is there; none of an object that says what cannot be.
    pub models: Vec<(String, Option<Arc<ModelArtifact>>)>,
    /// What its engine reads beside the model, each with its artifact if that is there.
    pub parts: Vec<(Part, Option<Arc<ModelArtifact>>)>,
    /// Its Deployment.
    pub deployment: Option<Arc<Deployment>>,
    /// The memory of the runtime.
    pub memory: Option<Need>,
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
        let served = model.into_iter().flat_map(|model| model.models.iter());
        let there = |image: &ImageRef, kind: Kind| {
            let name = artifact::name(image, kind, this);
            lookup(&ctx.stores.model_artifacts, &namespace, &name)
        };
        let models = served.map(|served| (served.name.clone(), there(&served.image, Kind::Model)));
        let models: Vec<_> = models.collect();
        let parts = model.into_iter().flat_map(|model| &model.parts);
        let parts = parts.map(|part| (part.clone(), there(&part.image, part.kind())));
        let parts: Vec<_> = parts.collect();
        let known: Option<Vec<_>> = models.iter().map(|(_, one)| one.as_deref()).collect();
        let beside: Option<Vec<_>> = parts.iter().map(|(_, one)| one.as_deref()).collect();
        Self {
            memory: model
                .zip(known.zip(beside))
                .and_then(|(model, (models, parts))| memory_of(model, models, parts)),
            models,
            parts,
            deployment: lookup(&ctx.stores.deployments, &namespace, &this.name_any()),
            seal: ctx.seal_of(
                uid(this),
                this.status.as_ref().map_or(&[], |s| &s.conditions),
                this.status.as_ref().and_then(|s| s.seal.as_ref()),
            ),
            exits: exits::of(this, &ctx.config, &ctx.servers_of(this)),
            guard: ctx.stores.guard(&namespace),
        }
    }
}
