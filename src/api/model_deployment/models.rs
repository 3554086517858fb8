//! The models of a [`super::ModelDeployment`] by name.

use kube::{KubeSchema, ResourceExt};
use serde::{Deserialize, Serialize};

use super::{ArtifactSource, Mode, ModelDeployment};
use crate::engine::Task;
use crate::gguf::Kind;

/// One of several models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode != 'Rerank'").message(
    "Ollama ranks no documents: write mode: Completion or Embedding, or serve the model by an object with engine: LlamaCpp"
))]
#[x_kube(validation = Rule::new("!has(self.template) || self.mode == 'Completion'").message(
    "only a model that writes text has a chat: leave template out, or write mode: Completion"
))]
pub struct NamedModel {
    /// The name that requests must carry as `model`: 1 to 128 letters, digits and `.`, `_`, `:`, `/` and `-`.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")
    )]
    pub name: String,
    /// The model.
    pub artifact: ArtifactSource,
    /// What it is served for, as runtime.ollama.mode says it of one model: `Completion` (default) or `Embedding`.
    #[serde(default)]
    pub mode: Mode,
    /// Its chat template, as runtime.ollama.template says it of one model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16_384))]
    pub template: Option<String>,
    /// Texts that end its answers, as runtime.ollama.stop says them of one model: at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    pub stop: Vec<String>,
}

impl NamedModel {
    /// What the model does.
    #[must_use]
    pub fn task(&self) -> Task {
        Task {
            mode: self.mode,
            template: self.template.clone(),
            stop: self.stop.clone(),
        }
    }
}

impl ModelDeployment {
    /// The names that requests may carry, in the order in which they are written. Without `models` it is one.
    #[must_use]
    pub fn served_names(&self) -> Vec<String> {
        if let Some(models) = &self.spec.models {
            return models.iter().map(|model| model.name.clone()).collect();
        }
        let given = self.spec.served_model_name.clone();
        vec![given.unwrap_or_else(|| self.name_any())]
    }

    /// The artifacts that the spec names, and what each must be: models, adapters, the projector.
    pub fn artifact_sources(&self) -> impl Iterator<Item = (&ArtifactSource, Kind)> {
        let several = self.spec.models.iter().flatten();
        let several = several.map(|model| &model.artifact);
        let models = self.spec.artifact.iter().chain(several);
        let given = self.spec.runtime.llama_cpp.as_ref();
        let adapters = given.into_iter().flat_map(|given| &given.adapters);
        let projector = given.and_then(|given| given.projector.as_ref());
        models
            .map(|model| (model, Kind::Model))
            .chain(adapters.map(|adapter| (&adapter.artifact, Kind::Adapter)))
            .chain(projector.map(|projector| (&projector.artifact, Kind::Projector)))
    }

    /// Whether its pods mount more than one artifact, which then lie together and are its own.
    #[must_use]
    pub fn has_several_artifacts(&self) -> bool {
        self.spec.models.is_some() || self.artifact_sources().nth(1).is_some()
    }
}
