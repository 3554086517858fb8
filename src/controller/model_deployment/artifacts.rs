//! The artifacts of an object's models: made, awaited, and looked at for what the engine could not use.

use std::sync::Arc;
use std::time::Duration;

use super::build::artifact;
use super::models::Served;
use super::parts;
use super::validate::Model;
use super::waiting;
use crate::api::model_artifact::ArtifactFacts;
use crate::api::model_deployment::Mode;
use crate::api::{ConditionType, ModelArtifact, ModelDeployment, Reason};
use crate::controller::conditions::{find, is_true};
use crate::controller::context::Context;
use crate::controller::outcome::{Outcome, Stall};
use crate::controller::stores::lookup;
use crate::gguf::{ChatFamily, Geometry, Kind, ModelPooling, Need, Settings, memory, together};
use crate::types::{AtLeastOne, ImageRef};

/// Every change of an artifact triggers; this is for a change that was missed.
const LONG: Duration = Duration::from_secs(300);

/// The artifacts of an object.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// Of its models, in their order.
    pub models: AtLeastOne<Arc<ModelArtifact>>,
    /// Of what the engine reads beside the model, in their order.
    pub parts: Vec<Arc<ModelArtifact>>,
}

/// All of them, once they are verified. What is missing is made, so that all are pulled at the same time.
pub async fn verified(
    this: &ModelDeployment,
    model: &Model,
    ctx: &Context,
) -> Result<Artifacts, Outcome> {
    let mut worst: Option<Outcome> = None;
    let mut late = |outcome| {
        // What somebody must mend is said before what only takes its time.
        if matches!(worst, None | Some(Outcome::Waiting { .. })) {
            worst = Some(outcome);
        }
    };
    let mut models = Vec::new();
    for served in model.models.iter() {
        match one(artifact::of_model(served, this), ctx).await {
            Ok(artifact) => models.push(artifact),
            Err(Outcome::Stalled(stall)) => {
                let mut stall = parts::about_model(stall);
                stall.message = model.about(served, &stall.message);
                late(Outcome::Stalled(stall));
            }
            Err(outcome) => late(outcome),
        }
    }
    let mut parts = Vec::new();
    for part in &model.parts {
        match one(artifact::of_part(part, this), ctx).await {
            Ok(artifact) => parts.push(artifact),
            Err(Outcome::Stalled(stall)) => late(Outcome::Stalled(part.about(stall))),
            Err(outcome) => late(outcome),
        }
    }
    match (worst, AtLeastOne::collect(models)) {
        (None, Some(models)) => Ok(Artifacts { models, parts }),
        (worst, _) => Err(worst.unwrap_or_else(|| waiting(Reason::ArtifactNotReady, LONG))),
    }
}

/// Those that are there already, verified or not, if none is missing.
#[must_use]
pub fn planned(this: &ModelDeployment, model: &Model, ctx: &Context) -> Option<Artifacts> {
    let there = |image: &ImageRef, kind: Kind| {
        let name = artifact::name(image, kind, this);
        lookup(&ctx.stores.model_artifacts, &model.namespace, &name)
    };
    let models = model
        .models
        .iter()
        .map(|served| there(&served.image, Kind::Model));
    let parts = model
        .parts
        .iter()
        .map(|part| there(&part.image, part.kind()));
    Some(Artifacts {
        models: AtLeastOne::collect(models.collect::<Option<Vec<_>>>()?)?,
        parts: parts.collect::<Option<Vec<_>>>()?,
    })
}

/// Finds or makes one, and returns it when it is verified.
async fn one(wanted: ModelArtifact, ctx: &Context) -> Result<Arc<ModelArtifact>, Outcome> {
    let [namespace, name] = [&wanted.metadata.namespace, &wanted.metadata.name]
        .map(|text| text.as_deref().unwrap_or_default());
    let there = lookup(&ctx.stores.model_artifacts, namespace, name);
    let Some(there) = there.filter(|there| there.metadata.deletion_timestamp.is_none()) else {
        ctx.applier.create(&wanted, None, None).await?;
        return Err(waiting(Reason::ArtifactNotReady, Duration::from_secs(11)));
    };
    ctx.applier
        .create(&*there, Some(there.clone()), None)
        .await?;
    let status = there.status.clone().unwrap_or_default();
    if status.verified {
        return Ok(there);
    }
    if is_true(&status.conditions, ConditionType::Stalled)
        && let Some(stalled) = find(&status.conditions, ConditionType::Stalled)
    {
        let reason = Reason::parse(&stalled.reason).unwrap_or(Reason::ArtifactNotReady);
        return Err(Outcome::Stalled(Stall::new(
            reason,
            stalled.message.clone(),
        )));
    }
    Err(waiting(Reason::ArtifactNotReady, LONG))
}

/// Why the engine would not start with an adapter and the model, as soon as both headers are known.
#[must_use]
pub fn foreign(model: &Model, artifacts: &Artifacts) -> Option<Stall> {
    let of = facts_of(&artifacts.models.first);
    let mut pairs = model.parts.iter().zip(&artifacts.parts);
    pairs.find_map(|(part, artifact)| part.foreign(of, facts_of(artifact)))
}

/// Why the engine could do nothing useful with one of the models, although it would start, or would not start.
#[must_use]
pub fn useless(model: &Model, artifacts: &Artifacts) -> Option<Stall> {
    let mut pairs = model.models.iter().zip(artifacts.models.iter());
    let useless = pairs.find_map(|(served, artifact)| {
        let facts = facts_of(artifact);
        let stall =
            template_missing(model, served, facts).or_else(|| wrong_mode(model, served, facts))?;
        let message = model.about(served, &stall.message);
        Some(Stall { message, ..stall })
    });
    useless.or_else(|| foreign(model, artifacts))
}

/// An engine that cannot read the model's own chat template needs one of a known family, or one in the object.
#[must_use]
pub fn template_missing(
    model: &Model,
    served: &Served,
    facts: Option<&ArtifactFacts>,
) -> Option<Stall> {
    let family = facts
        .and_then(|facts| facts.chat_template.clone())
        .and_then(|word| serde_json::from_value::<ChatFamily>(word.into()).ok());
    let lacks = served.task.mode == Mode::Completion
        && model.engine.particulars().lacks_template(family)
        && served.task.template.is_none();
    lacks.then(|| {
        let field = match model.models.only() {
            Some(_) => format!("runtime.{}.template", model.engine.member()),
            None => "template of its entry".to_owned(),
        };
        let text = format!(
            "the model has no chat template of a family that is known for this engine: write one in {field}"
        );
        Stall::new(Reason::InvalidSpec, text)
    })
}

/// A model of which the engine makes nothing useful in the mode that is asked for, although it starts. What an older
/// version planned is not looked at.
#[must_use]
pub fn wrong_mode(model: &Model, served: &Served, facts: Option<&ArtifactFacts>) -> Option<Stall> {
    let word = facts?.pooling.clone()?;
    let pooling: ModelPooling = serde_json::from_value(word.into()).ok()?;
    let text = match (served.task.mode, pooling) {
        (Mode::Embedding, ModelPooling::Rank) => {
            "the model ranks documents and makes no embeddings: write engine: LlamaCpp with llamaCpp.mode: Rerank, or name another artifact"
        }
        (Mode::Embedding, ModelPooling::None)
            if !model.engine.particulars().pools_by_itself() && model.tuning.pooling.is_none() =>
        {
            "the model's file does not say how its tokens become one vector: write runtime.llamaCpp.pooling: Mean, Cls or Last, as its makers say"
        }
        (Mode::Rerank, pooling) if pooling != ModelPooling::Rank => {
            "the model has no output that ranks documents: name the artifact of a reranker, or write another runtime.llamaCpp.mode"
        }
        (Mode::Completion, ModelPooling::Rank) => {
            "the model ranks documents and writes no text: write engine: LlamaCpp with llamaCpp.mode: Rerank, or name another artifact"
        }
        _ => return None,
    };
    Some(Stall::new(Reason::InvalidSpec, text.to_owned()))
}

/// What is known of the artifact's model.
pub(super) fn facts_of(artifact: &ModelArtifact) -> Option<&ArtifactFacts> {
    artifact.status.as_ref()?.artifact.as_ref()
}

/// The memory that the runtime needs, where the geometry of every header is known: of several models that of the
/// largest that may be loaded at once. What is read beside a model counts with its weights.
#[must_use]
pub fn memory_of<'a>(
    model: &Model,
    models: impl IntoIterator<Item = &'a ModelArtifact>,
    parts: impl IntoIterator<Item = &'a ModelArtifact>,
) -> Option<Need> {
    let lengths = parts.into_iter().map(|part| Some(facts_of(part)?.bytes));
    let lengths: Vec<u64> = lengths.collect::<Option<_>>()?;
    if lengths.len() != model.parts.len() {
        return None;
    }
    let further = lengths.into_iter().fold(0, u64::saturating_add);
    let pairs = model.models.iter().zip(models);
    let needs: Option<Vec<Need>> = pairs
        .map(|(served, artifact)| need(model, served, facts_of(artifact)?, further))
        .collect();
    let needs = needs.filter(|needs| needs.len() == model.models.count())?;
    Some(together(&needs, model.tuning.loaded() as usize))
}

fn need(model: &Model, served: &Served, facts: &ArtifactFacts, further: u64) -> Option<Need> {
    let geometry: Geometry = serde_json::from_value(facts.geometry.clone()?).ok()?;
    let tuning = &model.tuning;
    let usual = Settings::default();
    let micro = tuning.micro_batch.unwrap_or(usual.batch);
    let settings = Settings {
        context: model.engine.particulars().cached(tuning),
        parallel: tuning.parallel,
        kv_k: tuning.cache_k,
        kv_v: tuning.cache_v,
        batch: tuning.batch.unwrap_or(u32::MAX).min(micro),
        logits: served.task.mode == Mode::Completion,
        gpu_layers: tuning.gpu_layers.unwrap_or(0),
        further_weights: further,
        ..usual
    };
    Some(memory::need(&geometry, &settings))
}
