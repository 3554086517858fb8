//! The reconciler of ModelDeployments: dereference, validate, build, apply, status.

pub mod build;
mod callers;
pub mod capacity;
pub mod dereference;
pub mod exits;
pub mod status;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use self::build::deployment::Inputs;
use self::build::{artifact, deployment, edge_policy, service};
use self::dereference::Seen;
use self::validate::{Model, validate};
use super::apply::Compare;
use super::conditions::{find, is_true};
use super::context::Context;
use super::names::uid;
use super::outcome::{Outcome, Stall};
use super::sealed_policy;
use super::stores::lookup;
use crate::api::model_artifact::ArtifactFacts;
use crate::api::{ConditionType, ModelArtifact, ModelDeployment, Reason};
use crate::gguf::{ChatFamily, Geometry, Memory, Settings, memory};

/// One pass over one object.
pub async fn reconcile(this: &ModelDeployment, ctx: &Context) -> Outcome {
    if this.metadata.deletion_timestamp.is_some() {
        return Outcome::Done;
    }
    let stored = ctx.status.current(this, this.status.as_ref());
    let model = validate(this, &ctx.config);
    let outcome = match &model {
        Ok(model) => match advance(this, model, ctx).await {
            Ok(outcome) | Err(outcome) => outcome,
        },
        Err(invalid) => Outcome::Stalled(Stall::from(invalid.clone())),
    };
    let seen = Seen::read(this, model.as_ref().ok(), ctx);
    let status = status::compute(this, &stored, &seen, &outcome, Timestamp::now());
    let conditions = (stored.conditions.as_slice(), status.conditions.as_slice());
    match ctx.status.write(this, &stored, &status, conditions).await {
        Ok(()) => outcome,
        Err(error) => Outcome::Transient {
            message: format!("failed to write status: {error}"),
        },
    }
}

/// The children in order: what closes a pod is there before the pod, the volume before who mounts it, and
/// the address last.
async fn advance(this: &ModelDeployment, model: &Model, ctx: &Context) -> Result<Outcome, Outcome> {
    let namespace = model.namespace.as_str();
    let owner = Some(uid(this));
    let settle = if model.sealed {
        sealed_policy::ensure(&ctx.applier, &ctx.stores, namespace, &ctx.namespace).await?
    } else {
        None
    };
    let edges = edge_policy::build(this, &ctx.config);
    let there = lookup(&ctx.stores.network_policies, namespace, &edges.name_any());
    ctx.applier
        .apply(&edges, there, owner, Compare::WholeSpec)
        .await?;

    let artifact = match artifact(this, model, ctx).await {
        Ok(artifact) => artifact,
        // The plan says how much memory is needed, long before the pull is done.
        Err(waits @ Outcome::Waiting { .. }) => {
            let name = artifact::name(&model.image, this);
            if let Some(planned) = lookup(&ctx.stores.model_artifacts, namespace, &name) {
                workload(this, model, &planned, ctx)?;
            }
            return Err(waits);
        }
        Err(outcome) => return Err(outcome),
    };
    if let Some(stall) = template_missing(model, facts_of(&artifact)) {
        return Err(Outcome::Stalled(stall));
    }
    let (wanted, there) = workload(this, model, &artifact, ctx)?;
    // Pods that are there already are held by the proof; an operator that starts has only now seen the policy.
    if let Some(left) = settle.filter(|_| there.is_none()) {
        return Err(waiting(Reason::Progressing, left));
    }
    ctx.applier
        .apply(&wanted, there, owner, Compare::Ours)
        .await?;

    let wanted = service::build(this);
    let there = lookup(&ctx.stores.services, namespace, &wanted.name_any());
    ctx.applier
        .apply(&wanted, there, owner, Compare::Ours)
        .await?;
    Ok(Outcome::Done)
}

/// The Deployment and the one that is there, if a node has the memory for one of its pods.
fn workload(
    this: &ModelDeployment,
    model: &Model,
    artifact: &ModelArtifact,
    ctx: &Context,
) -> Result<(Deployment, Option<Arc<Deployment>>), Outcome> {
    let facts = facts_of(artifact);
    let memory = memory_of(model, artifact);
    let wanted = deployment::build(
        this,
        &Inputs {
            model,
            artifact: &artifact.name_any(),
            entry: facts
                .and_then(|facts| facts.entry.as_deref())
                .unwrap_or("model.gguf"),
            memory: memory.map(|memory| memory.total),
            verify_keys: &ctx.verify_keys,
            config: &ctx.config,
        },
    );
    let there = lookup(&ctx.stores.deployments, &model.namespace, &this.name_any());
    let nodes = ctx.stores.nodes.state();
    capacity::check(&wanted, there.as_deref(), memory.as_ref(), &nodes)
        .map_err(Outcome::Stalled)?;
    Ok((wanted, there))
}

/// Finds or makes the artifact, and returns it when it is verified.
async fn artifact(
    this: &ModelDeployment,
    model: &Model,
    ctx: &Context,
) -> Result<Arc<ModelArtifact>, Outcome> {
    let name = artifact::name(&model.image, this);
    // Every change of it triggers; this is for a change that was missed.
    let long = Duration::from_secs(300);
    let there = lookup(&ctx.stores.model_artifacts, &model.namespace, &name);
    let Some(there) = there.filter(|there| there.metadata.deletion_timestamp.is_none()) else {
        let wanted = artifact::build(model, this);
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
    Err(waiting(Reason::ArtifactNotReady, long))
}

/// An engine that cannot read the model's own chat template needs one of a known family, or one in the object.
#[must_use]
pub fn template_missing(model: &Model, facts: Option<&ArtifactFacts>) -> Option<Stall> {
    let family = facts
        .and_then(|facts| facts.chat_template.clone())
        .and_then(|word| serde_json::from_value::<ChatFamily>(word.into()).ok());
    let lacks =
        model.engine.particulars().lacks_template(family) && model.ollama.template.is_none();
    lacks.then(|| {
        let text = "the model has no chat template of a family that is known for this engine: write one in runtime.ollama.template";
        Stall::new(Reason::InvalidSpec, text.to_owned())
    })
}

/// What is known of the artifact's model.
fn facts_of(artifact: &ModelArtifact) -> Option<&ArtifactFacts> {
    artifact.status.as_ref()?.artifact.as_ref()
}

/// The memory that the runtime needs, where the header's geometry is known.
#[must_use]
pub fn memory_of(model: &Model, artifact: &ModelArtifact) -> Option<Memory> {
    let facts = facts_of(artifact)?;
    let geometry: Geometry = serde_json::from_value(facts.geometry.clone()?).ok()?;
    let (kv_k, kv_v) = model.kv_types();
    let (context, parallel) = model.slots();
    let settings = Settings {
        context,
        parallel,
        kv_k,
        kv_v,
        ..Settings::default()
    };
    Some(memory::estimate(&geometry, &settings))
}

fn waiting(reason: Reason, after: Duration) -> Outcome {
    Outcome::Waiting {
        reason,
        message: String::new(),
        after,
    }
}
