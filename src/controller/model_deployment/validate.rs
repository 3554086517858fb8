//! Spec and configuration become a validated [`Model`]; pure.
//!
//! The schema and its rules have refused most of what is wrong already. What is checked here depends on the
//! platform's configuration, or guards against an API server that did not check.

use kube::ResourceExt;

use super::models::{self, Served};
use super::parts::{self, Part};
use super::tuning;
use crate::api::model_deployment::{Engine, SealMode};
use crate::api::{AccessMode, ModelDeployment};
use crate::controller::config::Config;
use crate::controller::difference::quantity;
use crate::controller::serving::access::empty_peer;
use crate::engine::Tuning;
use crate::types::{AtLeastOne, ImageRef};

mod invalid;

pub use invalid::Invalid;

/// A ModelDeployment that can be carried out.
#[derive(Clone, Debug)]
pub struct Model {
    /// metadata.namespace.
    pub namespace: String,
    /// metadata.name.
    pub name: String,
    /// metadata.uid.
    pub uid: String,
    /// What it serves.
    pub models: AtLeastOne<Served>,
    /// What the engine reads beside its one model.
    pub parts: Vec<Part>,
    /// The engine's image.
    pub runtime_image: String,
    /// The engine.
    pub engine: Engine,
    /// How the engine serves.
    pub tuning: Tuning,
    /// False for `seal.mode: Unsealed` where it is allowed.
    pub sealed: bool,
}

/// Validates.
///
/// # Errors
/// [`Invalid`] says what to mend.
pub fn validate(object: &ModelDeployment, config: &Config) -> Result<Model, Invalid> {
    let spec = &object.spec;
    let engine = spec.runtime.engine;
    let tuning = tuning::of(spec)?;
    let models = models::of(object, &tuning, config)?;
    let parts = parts::of(object, config)?;
    let runtime_image = match &spec.runtime.image {
        Some(image) => {
            let field = "runtime.image";
            let image: Result<ImageRef, _> = image.parse();
            let image = image.map_err(|source| Invalid::Reference { field, source })?;
            image.to_string()
        }
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
    if let Some(index) = empty_peer(&spec.access.from) {
        return Err(Invalid::Peer(index));
    }
    let resources = &spec.resources;
    let mut quantities = resources.requests.values().chain(resources.limits.values());
    if let Some(wrong) = quantities.find(|q| quantity(&q.0).is_none()) {
        return Err(Invalid::Quantity(wrong.0.clone()));
    }
    let mode = spec.delivery.claim().access_mode;
    if !spec.scheduling.topology_spread.is_empty() && mode != AccessMode::ReadWriteMany {
        return Err(Invalid::Spread);
    }
    Ok(Model {
        namespace,
        uid: object.uid().unwrap_or_default(),
        models,
        parts,
        runtime_image,
        engine,
        tuning,
        name: object.name_any(),
        sealed,
    })
}

impl Model {
    /// A text about one of the models, which it names where there are others.
    #[must_use]
    pub fn about(&self, served: &Served, text: &str) -> String {
        match self.models.only() {
            Some(_) => text.to_owned(),
            None => format!("model {}: {text}", served.name),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::api::model_deployment::{Mode, Ollama};
    use crate::controller::config::tests::TEXT;
    use crate::controller::outcome::Stall;

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
        assert_eq!(model.models.only().unwrap().name, "assistant");
        assert_eq!(
            model.runtime_image,
            config().engine_image(Engine::LlamaCpp).unwrap()
        );
        assert!(model.sealed);
    }

    type Mutator = fn(&mut ModelDeployment);

    #[rstest::rstest]
    #[case::served_name(|md: &mut ModelDeployment| { md.spec.runtime.engine = Engine::Ollama; md.spec.served_model_name = Some("a:b:c".into()); }, Reason::InvalidSpec, "servedModelName")]
    #[case::flag(|md: &mut ModelDeployment| md.spec.served_model_name = Some("--host".into()), Reason::InvalidSpec, "servedModelName")]
    #[case::variable(|md: &mut ModelDeployment| md.spec.served_model_name = Some("a$(HOME)".into()), Reason::InvalidSpec, "servedModelName")]
    #[case::line(|md: &mut ModelDeployment| md.spec.served_model_name = Some("a\nb".into()), Reason::InvalidSpec, "servedModelName")]
    #[case::ranks_nothing(|md: &mut ModelDeployment| { md.spec.runtime.engine = Engine::Ollama; md.spec.runtime.ollama = Some(Ollama { mode: Mode::Rerank, ..Ollama::default() }); }, Reason::InvalidSpec, "ranks no documents")]
    #[case::layers_nowhere(|md: &mut ModelDeployment| md.spec.runtime.llama_cpp.as_mut().unwrap().gpu_layers = Some(8), Reason::InvalidSpec, "nvidia.com/gpu: 1")]
    #[case::spread(|md: &mut ModelDeployment| md.spec.scheduling.topology_spread.push(Default::default()), Reason::InvalidSpec, "ReadWriteMany")]
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
        assert_eq!((model.tuning.context, model.tuning.parallel), (4096, 1));
        config.engines.remove(Engine::Ollama.member());
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
