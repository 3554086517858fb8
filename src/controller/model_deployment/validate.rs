//! Spec and configuration become a validated [`Model`]; pure.
//!
//! The schema and its rules have refused most of what is wrong already. What is checked here depends on the
//! platform's configuration, or guards against an API server that did not check.

use kube::ResourceExt;

use crate::api::model_deployment::{Engine, LlamaCpp, Ollama, SealMode};
use crate::api::{ModelDeployment, Reason, SecretRef};
use crate::controller::config::{Config, Registry};
use crate::controller::difference::quantity;
use crate::controller::outcome::Stall;
use crate::gguf::KvType;
use crate::types::{ImageRef, ImageRefError};

/// A ModelDeployment that can be carried out.
#[derive(Clone, Debug)]
pub struct Model {
    /// metadata.namespace.
    pub namespace: String,
    /// metadata.name.
    pub name: String,
    /// metadata.uid.
    pub uid: String,
    /// The artifact.
    pub image: ImageRef,
    /// Secrets for the artifact's registry.
    pub pull_secrets: Vec<SecretRef>,
    /// The engine's image.
    pub runtime_image: String,
    /// The engine.
    pub engine: Engine,
    /// The settings of llama.cpp.
    pub llama_cpp: LlamaCpp,
    /// The settings of Ollama.
    pub ollama: Ollama,
    /// What requests carry as `model`.
    pub served_name: String,
    /// False for `seal.mode: Unsealed` where it is allowed.
    pub sealed: bool,
}

/// Why a ModelDeployment cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Several models.
    #[error("this version serves one model for each object: write artifact instead of models")]
    Several,
    /// Nobody gave an image of the engine.
    #[error(
        "the platform has no image of the engine {0}: write runtime.image, or have the platform set its image in the chart's values engines"
    )]
    NoImage(&'static str),
    /// The engine cannot serve under the name.
    #[error("servedModelName: {0}")]
    Name(String),
    /// Neither artifact nor models.
    #[error("write artifact: the model to serve")]
    NoArtifact,
    /// A reference is wrong.
    #[error("{field}: {source}")]
    Reference {
        /// Which field.
        field: &'static str,
        /// How.
        source: ImageRefError,
    },
    /// The registry is not declared.
    #[error(
        "no registry {0} is declared: the platform declares registries in the chart's value registries; name an artifact in one of them"
    )]
    Registry(String),
    /// Unsealed where it may not be.
    #[error(
        "seal.mode: Unsealed is not allowed in namespace {0}: write Enforced, or have the platform list the namespace in the chart's value unsealedNamespaces"
    )]
    Unsealed(String),
    /// A peer that means everybody or nothing.
    #[error("access.from[{0}] names nobody: write podSelector, namespaceSelector or ipBlock")]
    Peer(usize),
    /// A quantity is none.
    #[error("resources: {0} is no quantity such as 2Gi or 500m")]
    Quantity(String),
}

impl From<Invalid> for Stall {
    fn from(invalid: Invalid) -> Self {
        let reason = match &invalid {
            Invalid::NoImage(_) => Reason::ImageMissing,
            Invalid::Registry(_) => Reason::RegistryNotDeclared,
            Invalid::Unsealed(_) => Reason::UnsealedNotAllowed,
            Invalid::NoArtifact
            | Invalid::Several
            | Invalid::Name(_)
            | Invalid::Reference { .. }
            | Invalid::Peer(_)
            | Invalid::Quantity(_) => Reason::InvalidSpec,
        };
        // Spec and configuration decide alone: only a change of one of them can help.
        Self::new(reason, invalid.to_string())
    }
}

/// Validates.
///
/// # Errors
/// [`Invalid`] says what to mend.
pub fn validate(object: &ModelDeployment, config: &Config) -> Result<Model, Invalid> {
    let spec = &object.spec;
    let engine = spec.runtime.engine;
    if spec.models.is_some() {
        return Err(Invalid::Several);
    }
    let source = spec.artifact.as_ref().ok_or(Invalid::NoArtifact)?;
    let image = reference("artifact.image", &source.image)?;
    if config.registry(image.registry()).is_none() {
        return Err(Invalid::Registry(image.registry().to_owned()));
    }
    let runtime_image = match &spec.runtime.image {
        Some(image) => reference("runtime.image", image)?.to_string(),
        None => config
            .engine_image(engine)
            .ok_or(Invalid::NoImage(engine.as_str()))?
            .to_owned(),
    };
    let namespace = object.namespace().unwrap_or_default();
    let sealed = spec.seal.mode == SealMode::Enforced;
    if !sealed && !config.unsealed_namespaces.contains(&namespace) {
        return Err(Invalid::Unsealed(namespace));
    }
    let empty = spec.access.from.iter().position(|peer| {
        peer.ip_block.is_none() && peer.namespace_selector.is_none() && peer.pod_selector.is_none()
    });
    if let Some(index) = empty {
        return Err(Invalid::Peer(index));
    }
    let resources = &spec.resources;
    let mut quantities = resources.requests.values().chain(resources.limits.values());
    if let Some(wrong) = quantities.find(|q| quantity(&q.0).is_none()) {
        return Err(Invalid::Quantity(wrong.0.clone()));
    }
    let name = object.name_any();
    let served_name = spec
        .served_model_name
        .clone()
        .unwrap_or_else(|| name.clone());
    engine
        .particulars()
        .can_serve_as(&served_name)
        .map_err(Invalid::Name)?;
    Ok(Model {
        namespace,
        uid: object.uid().unwrap_or_default(),
        image,
        pull_secrets: source.pull_secrets.clone(),
        runtime_image,
        engine,
        llama_cpp: spec.runtime.llama_cpp.clone().unwrap_or_default(),
        ollama: spec.runtime.ollama.clone().unwrap_or_default(),
        served_name,
        name,
        sealed,
    })
}

impl Model {
    /// The declaration of the artifact's registry.
    #[must_use]
    pub fn registry<'a>(&self, config: &'a Config) -> Option<&'a Registry> {
        config.registry(self.image.registry())
    }

    /// Tokens of context of all requests together, and how many requests there are at once.
    #[must_use]
    pub fn slots(&self) -> (u32, u32) {
        match self.engine {
            Engine::LlamaCpp => (self.llama_cpp.context_length, self.llama_cpp.parallel),
            Engine::Ollama => {
                let Ollama {
                    context_length,
                    parallel,
                    ..
                } = self.ollama;
                (context_length.saturating_mul(parallel), parallel)
            }
        }
    }

    /// Types of the cached keys and values.
    #[must_use]
    pub fn kv_types(&self) -> (KvType, KvType) {
        if self.engine != Engine::LlamaCpp {
            return (KvType::default(), KvType::default());
        }
        let parse = |flag: &str| flag.parse().unwrap_or_default();
        (
            parse(self.llama_cpp.cache_type_k.flag()),
            parse(self.llama_cpp.cache_type_v.flag()),
        )
    }
}

fn reference(field: &'static str, text: &str) -> Result<ImageRef, Invalid> {
    text.parse()
        .map_err(|source| Invalid::Reference { field, source })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::controller::config::tests::TEXT;

    pub(crate) const OBJECT: &str = "
apiVersion: sealroom.dev/v1alpha1
kind: ModelDeployment
metadata: { name: assistant, namespace: team-a, uid: 0d2a7a3c-0000-4000-8000-000000000001, generation: 1 }
spec:
  artifact:
    image: registry.internal:5000/models/smollm2@sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
    pullSecrets: [{ name: registry }]
  runtime: { engine: LlamaCpp, llamaCpp: { contextLength: 8192, parallel: 2 } }
  access: { from: [{ podSelector: { matchLabels: { app: chat } } }], apiKeys: { secretRef: { name: assistant-keys } } }
";

    pub(crate) fn object() -> ModelDeployment {
        serde_saphyr::from_str(OBJECT).unwrap()
    }

    pub(crate) fn config() -> Config {
        Config::parse(TEXT).unwrap()
    }

    #[test]
    fn accepts_the_example() {
        let model = validate(&object(), &config()).unwrap();
        assert_eq!(model.served_name, "assistant");
        assert_eq!(model.runtime_image, config().engines.llama_cpp.image);
        assert!(model.sealed);
    }

    type Mutator = fn(&mut ModelDeployment);

    #[rstest::rstest]
    #[case::several(|md: &mut ModelDeployment| md.spec.models = Some(Vec::new()), Reason::InvalidSpec, "artifact instead of models")]
    #[case::served_name(|md: &mut ModelDeployment| { md.spec.runtime.engine = Engine::Ollama; md.spec.served_model_name = Some("a:b:c".into()); }, Reason::InvalidSpec, "servedModelName")]
    #[case::no_artifact(|md: &mut ModelDeployment| md.spec.artifact = None, Reason::InvalidSpec, "artifact")]
    #[case::tag(|md: &mut ModelDeployment| image(md, "registry.internal:5000/m:v1"), Reason::InvalidSpec, "by digest")]
    #[case::short_digest(|md: &mut ModelDeployment| image(md, "registry.internal:5000/m@sha256:b1"), Reason::InvalidSpec, "64")]
    #[case::registry(|md: &mut ModelDeployment| replace_host(md, "elsewhere.example"), Reason::RegistryNotDeclared, "elsewhere.example")]
    #[case::runtime_tag(|md: &mut ModelDeployment| md.spec.runtime.image = Some("r.io/llama:latest".into()), Reason::InvalidSpec, "runtime.image")]
    #[case::unsealed(|md: &mut ModelDeployment| md.spec.seal.mode = SealMode::Unsealed, Reason::UnsealedNotAllowed, "team-a")]
    #[case::everybody(|md: &mut ModelDeployment| md.spec.access.from.push(Default::default()), Reason::InvalidSpec, "access.from[1]")]
    #[case::quantity(|md: &mut ModelDeployment| { md.spec.resources.limits.insert("memory".into(), k8s_openapi::apimachinery::pkg::api::resource::Quantity("much".into())); }, Reason::InvalidSpec, "much")]
    fn refuses(#[case] mutate: Mutator, #[case] reason: Reason, #[case] says: &str) {
        let mut object = object();
        mutate(&mut object);
        let stall = Stall::from(validate(&object, &config()).unwrap_err());
        assert_eq!(stall.reason, reason);
        assert!(stall.message.contains(says), "{}", stall.message);
    }

    #[test]
    fn the_engine_decides_the_image() {
        let mut object = object();
        object.spec.runtime.engine = Engine::Ollama;
        object.spec.runtime.llama_cpp = None;
        let mut config = config();
        let model = validate(&object, &config).unwrap();
        assert!(model.runtime_image.contains("/ollama@"), "{model:?}");
        assert_eq!(model.slots(), (4096, 1));
        config.engines.ollama = None;
        let stall = Stall::from(validate(&object, &config).unwrap_err());
        assert_eq!(stall.reason, Reason::ImageMissing);
        assert!(stall.message.contains("runtime.image"), "{}", stall.message);
        let own = format!("registry.internal:5000/ours@sha256:{}", "5".repeat(64));
        object.spec.runtime.image = Some(own.clone());
        assert_eq!(validate(&object, &config).unwrap().runtime_image, own);
    }

    #[test]
    fn unsealed_is_allowed_where_the_platform_says_so() {
        let mut object = object();
        object.spec.seal.mode = SealMode::Unsealed;
        object.metadata.namespace = Some("lab".to_owned());
        assert!(!validate(&object, &config()).unwrap().sealed);
    }

    fn image(object: &mut ModelDeployment, text: &str) {
        object.spec.artifact.as_mut().unwrap().image = text.to_owned();
    }

    fn replace_host(object: &mut ModelDeployment, host: &str) {
        let text = object.spec.artifact.as_ref().unwrap().image.clone();
        image(object, &text.replace("registry.internal:5000", host));
    }
}
