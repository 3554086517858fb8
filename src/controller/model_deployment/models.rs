//! The models of an object, by the names that requests carry; pure.

use super::validate::Invalid;
use crate::api::model_deployment::{ArtifactSource, Engine};
use crate::api::{AccessMode, ModelDeployment, SecretRef};
use crate::controller::config::Config;
use crate::engine::{Task, Tuning};
use crate::types::{AtLeastOne, ImageRef};

/// One of them.
#[derive(Clone, Debug)]
pub struct Served {
    /// What requests carry as `model`.
    pub name: String,
    /// The artifact.
    pub image: ImageRef,
    /// Secrets for the artifact's registry.
    pub pull_secrets: Vec<SecretRef>,
    /// What it does.
    pub task: Task,
}

/// All of them.
///
/// # Errors
/// [`Invalid`] says what to mend.
pub fn of(
    object: &ModelDeployment,
    tuning: &Tuning,
    config: &Config,
) -> Result<AtLeastOne<Served>, Invalid> {
    let spec = &object.spec;
    let models = match (&spec.artifact, &spec.models) {
        (Some(_), Some(_)) => return wrong("write artifact or models, not both"),
        (None, None) => return Err(Invalid::NoArtifact),
        (Some(source), None) => AtLeastOne::one(alone(object, source, tuning, config)?),
        (None, Some(_)) => several(object, tuning, config)?,
    };
    let engine = spec.runtime.engine.particulars();
    for model in models.iter() {
        engine
            .can_serve_for(model.task.mode)
            .map_err(Invalid::Mode)?;
    }
    Ok(models)
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid::Models(text.into()))
}

/// The one model of an object: what is its own stands in the engine's settings.
fn alone(
    object: &ModelDeployment,
    source: &ArtifactSource,
    tuning: &Tuning,
    config: &Config,
) -> Result<Served, Invalid> {
    let spec = &object.spec;
    let image = image(source, "artifact.image", config)?;
    let name = object.served_names().swap_remove(0);
    check(spec.runtime.engine, &name, "servedModelName")?;
    if tuning.max_loaded.is_some() {
        return wrong(format!(
            "runtime.{}.maxLoadedModels counts several: leave it out with artifact",
            spec.runtime.engine.member()
        ));
    }
    Ok(Served {
        name,
        image,
        pull_secrets: source.pull_secrets.clone(),
        task: spec.runtime.task(),
    })
}

fn several(
    object: &ModelDeployment,
    tuning: &Tuning,
    config: &Config,
) -> Result<AtLeastOne<Served>, Invalid> {
    let spec = &object.spec;
    let engine = spec.runtime.engine;
    let member = engine.member();
    let entries = spec.models.as_deref().unwrap_or_default();
    if !engine.particulars().holds_several() {
        return wrong("the engine serves one model: write artifact instead, or engine: Ollama");
    }
    if !(2..=8).contains(&entries.len()) {
        return wrong("write 2 to 8 entries, or artifact for one model");
    }
    if spec.served_model_name.is_some() {
        return wrong("servedModelName is for artifact: write the name of each in its entry");
    }
    if !spec.runtime.task().is_default() {
        return wrong(format!(
            "mode, template and stop are each model's own: write them in its entry and not in runtime.{member}"
        ));
    }
    if spec.delivery.claim().access_mode == AccessMode::ReadWriteOncePod {
        return wrong(
            "write delivery.persistentVolumeClaim.accessMode ReadWriteOnce or ReadWriteMany",
        );
    }
    let most = tuning.loaded();
    if most == 0 || most as usize > entries.len() {
        return wrong(format!(
            "runtime.{member}.maxLoadedModels counts models that are loaded at once: write at most as many as there are"
        ));
    }
    let mut models: Vec<Served> = Vec::new();
    for entry in entries {
        check(engine, &entry.name, "models[].name")?;
        let taken = |other: &&Served| engine.particulars().confuses(&entry.name, &other.name);
        if let Some(other) = models.iter().find(taken) {
            return Err(Invalid::Twins(entry.name.clone(), other.name.clone()));
        }
        models.push(Served {
            name: entry.name.clone(),
            image: image(&entry.artifact, "models[].artifact.image", config)?,
            pull_secrets: entry.artifact.pull_secrets.clone(),
            task: entry.task(),
        });
    }
    AtLeastOne::collect(models).ok_or(Invalid::NoArtifact)
}

pub(super) fn image(
    source: &ArtifactSource,
    field: &'static str,
    config: &Config,
) -> Result<ImageRef, Invalid> {
    let image: ImageRef = source
        .image
        .parse()
        .map_err(|source| Invalid::Reference { field, source })?;
    if config.registry(image.registry()).is_none() {
        return Err(Invalid::Registry(image.registry().to_owned()));
    }
    Ok(image)
}

/// As the schema has it, since no other text may reach a command line, and as the engine reads it.
fn check(engine: Engine, name: &str, field: &'static str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
    let good = (1..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(plain);
    let wrong = |text: String| Invalid::Name { field, text };
    if !good {
        return Err(wrong(
            "write 1 to 128 of letters, digits and . _ : / -, beginning with a letter or a digit"
                .to_owned(),
        ));
    }
    engine.particulars().can_serve_as(name).map_err(wrong)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::super::validate::tests::{config, object};
    use super::super::validate::validate;
    use super::*;
    use crate::api::model_deployment::Mode;
    use crate::controller::outcome::Stall;

    pub(crate) fn two() -> ModelDeployment {
        let mut object = object();
        let entry = |name: &str, digit: &str| {
            let digest = digit.repeat(64);
            json!({ "name": name, "artifact": { "image": format!("registry.internal:5000/m@sha256:{digest}") } })
        };
        let models = json!([entry("chat", "1"), entry("vectors", "2")]);
        object.spec.artifact = None;
        object.spec.models = serde_json::from_value(models).unwrap();
        object.spec.runtime = serde_json::from_value(json!({ "engine": "Ollama" })).unwrap();
        object
    }

    #[test]
    fn several_models_have_names_and_modes_of_their_own() {
        let mut object = two();
        object.spec.models.as_mut().unwrap()[1].mode = Mode::Embedding;
        let model = validate(&object, &config()).unwrap();
        let names: Vec<&str> = model.models.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["chat", "vectors"]);
        let modes: Vec<Mode> = model.models.iter().map(|one| one.task.mode).collect();
        assert_eq!(modes, [Mode::Completion, Mode::Embedding]);
        assert_eq!(model.tuning.loaded(), 1);
        object.spec.runtime.ollama =
            Some(serde_json::from_value(json!({ "maxLoadedModels": 2 })).unwrap());
        assert_eq!(validate(&object, &config()).unwrap().tuning.loaded(), 2);
    }

    type Mutator = fn(&mut ModelDeployment);

    fn ollama(object: &mut ModelDeployment, settings: serde_json::Value) {
        object.spec.runtime.ollama = Some(serde_json::from_value(settings).unwrap());
    }

    fn rename(object: &mut ModelDeployment, name: &str) {
        object.spec.models.as_mut().unwrap()[1].name = name.to_owned();
    }

    #[rstest::rstest]
    #[case::llama_cpp(|md: &mut ModelDeployment| md.spec.runtime.engine = Engine::LlamaCpp, "engine: Ollama")]
    #[case::one(|md: &mut ModelDeployment| md.spec.models.as_mut().unwrap().truncate(1), "2 to 8")]
    #[case::none(|md: &mut ModelDeployment| md.spec.models.as_mut().unwrap().clear(), "2 to 8")]
    #[case::nine(|md: &mut ModelDeployment| { let all = md.spec.models.as_mut().unwrap(); let more = vec![all[0].clone(); 7]; all.extend(more); }, "2 to 8")]
    #[case::both(|md: &mut ModelDeployment| md.spec.artifact = object().spec.artifact, "not both")]
    #[case::served_name(|md: &mut ModelDeployment| md.spec.served_model_name = Some("a".into()), "servedModelName is for artifact")]
    #[case::mode(|md: &mut ModelDeployment| ollama(md, json!({ "mode": "Embedding" })), "in its entry")]
    #[case::template(|md: &mut ModelDeployment| ollama(md, json!({ "template": "x" })), "in its entry")]
    #[case::stop(|md: &mut ModelDeployment| ollama(md, json!({ "stop": ["x"] })), "in its entry")]
    #[case::too_many_loaded(|md: &mut ModelDeployment| ollama(md, json!({ "maxLoadedModels": 3 })), "maxLoadedModels")]
    #[case::none_loaded(|md: &mut ModelDeployment| ollama(md, json!({ "maxLoadedModels": 0 })), "maxLoadedModels")]
    #[case::one_pod(|md: &mut ModelDeployment| md.spec.delivery = serde_json::from_value(json!({ "persistentVolumeClaim": { "accessMode": "ReadWriteOncePod" } })).unwrap(), "ReadWriteMany")]
    #[case::same_name(|md: &mut ModelDeployment| rename(md, "chat"), "chat and chat")]
    #[case::same_to_ollama(|md: &mut ModelDeployment| rename(md, "Chat:latest"), "Chat:latest and chat")]
    #[case::no_name_of_ollamas(|md: &mut ModelDeployment| rename(md, "a:b:c"), "models[].name")]
    #[case::flag(|md: &mut ModelDeployment| rename(md, "--host"), "models[].name")]
    #[case::comma(|md: &mut ModelDeployment| rename(md, "a,mode=Rerank"), "models[].name")]
    #[case::rerank(|md: &mut ModelDeployment| md.spec.models.as_mut().unwrap()[1].mode = Mode::Rerank, "ranks no documents")]
    #[case::tag(|md: &mut ModelDeployment| md.spec.models.as_mut().unwrap()[1].artifact.image = "registry.internal:5000/m:v1".into(), "models[].artifact.image")]
    #[case::registry(|md: &mut ModelDeployment| { let image = &mut md.spec.models.as_mut().unwrap()[1].artifact.image; *image = image.replace("registry.internal:5000", "elsewhere.example"); }, "elsewhere.example")]
    fn refuses(#[case] mutate: Mutator, #[case] says: &str) {
        let mut object = two();
        mutate(&mut object);
        let stall = Stall::from(validate(&object, &config()).unwrap_err());
        assert!(stall.message.contains(says), "{}", stall.message);
    }

    #[test]
    fn loaded_models_are_counted_of_several_only() {
        let mut one = object();
        one.spec.runtime = serde_json::from_value(
            json!({ "engine": "Ollama", "ollama": { "maxLoadedModels": 1 } }),
        )
        .unwrap();
        let stall = Stall::from(validate(&one, &config()).unwrap_err());
        assert!(
            stall.message.contains("maxLoadedModels"),
            "{}",
            stall.message
        );
    }
}
