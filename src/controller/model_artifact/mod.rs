//! The reconciler of ModelArtifacts: plan, claim, pull, verified.

pub mod build;
pub mod job_state;
pub mod progress;
pub mod status;
pub mod users;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use self::build::job::{self, Step};
use self::build::{claim, edge_policy, registry};
use self::job_state::{JobState, inspect};
use self::status::Found;
use self::users::Users;
use super::apply::ApplyError;
use super::config::Registry;
use super::context::Context;
use super::difference::quantity;
use super::names::{MANAGER, uid};
use super::outcome::{Outcome, Stall};
use super::sealed_policy;
use super::serving::edge;
use super::stores::lookup;
use crate::api::model_artifact::ArtifactFacts;
use crate::api::{ModelArtifact, Reason};
use crate::types::ImageRef;

/// How often a Job that failed for good is tried again: whoever mended the registry need not tell us.
const RETRY: Duration = Duration::from_secs(600);
/// How long a pass waits for what the stores will show.
const SOON: Duration = Duration::from_secs(10);

/// One pass over one object.
pub async fn reconcile(this: &ModelArtifact, ctx: &Context) -> Outcome {
    let users = Users::of(this, &ctx.stores);
    if this.metadata.deletion_timestamp.is_some() {
        return Outcome::Done;
    }
    if users.is_empty() {
        tracing::info!(artifact = %this.name_any(), "nothing uses it any more");
        return ctx
            .applier
            .delete(this)
            .await
            .map_or_else(Outcome::from, |()| Outcome::Done);
    }
    let stored = ctx.status.current(this, this.status.as_ref());
    let mut found = Found::from(&stored);
    let outcome = match advance(this, &users, &mut found, ctx).await {
        Ok(outcome) | Err(outcome) => outcome,
    };
    let status = status::compute(this, &stored, &found, &outcome, Timestamp::now());
    let conditions = (stored.conditions.as_slice(), status.conditions.as_slice());
    match ctx.status.write(this, &stored, &status, conditions).await {
        Ok(()) => outcome,
        Err(error) => Outcome::Transient {
            message: format!("failed to write status: {error}"),
        },
    }
}

/// The phases in order. What is found on the way is kept, however the pass ends.
async fn advance(
    this: &ModelArtifact,
    users: &Users,
    found: &mut Found,
    ctx: &Context,
) -> Result<Outcome, Outcome> {
    keep_users(this, users, ctx).await?;
    let image: ImageRef = this.spec.image.parse().map_err(|error| {
        Outcome::Stalled(Stall::new(Reason::InvalidSpec, format!("image: {error}")))
    })?;
    let namespace = this.namespace().unwrap_or_default();
    let name = this.name_any();
    let there = lookup(&ctx.stores.claims, &namespace, &name)
        .filter(|claim| claim.metadata.deletion_timestamp.is_none());
    // Verified bytes are verified bytes: they need no registry any more.
    if found.verified && there.is_some() {
        return Ok(Outcome::Done);
    }
    found.verified = false;
    let declared = ctx.config.registry(image.registry()).ok_or_else(|| {
        let text = format!("no registry {} is declared: the platform declares registries in the chart's value registries", image.registry());
        Outcome::Stalled(Stall::new(Reason::RegistryNotDeclared, text))
    })?;
    let settle =
        sealed_policy::ensure(&ctx.applier, &ctx.stores, &namespace, &ctx.namespace).await?;
    edge::apply(this, &edge_policy::build(this, declared), ctx).await?;
    let declaration = registry::build(this, declared);
    let declaration_there = lookup(&ctx.stores.config_maps, &namespace, &declaration.name_any());
    ctx.applier
        .create(&declaration, declaration_there, Some(uid(this)))
        .await?;
    if let Some(left) = settle {
        return Err(waiting(
            Reason::Planning,
            "the namespace's policy is settling",
            left,
        ));
    }
    let facts = match found.artifact.clone() {
        Some(facts) => facts,
        None => {
            let facts = run(Step::Plan, "", this, declared, users, found, ctx).await?;
            found.artifact = Some(facts.clone());
            facts
        }
    };
    found.phase = Reason::Pulling;
    if let Some(size) = this.spec.delivery.claim().size
        && quantity(&size.0).is_some_and(|size| size / 1_000 < i128::from(facts.bytes))
    {
        let text = format!(
            "the artifact has {} bytes and delivery.persistentVolumeClaim.size says {}: delivery cannot change, so delete the object and write it anew with {}Mi or more, or without a size",
            facts.bytes,
            size.0,
            claim::size(facts.bytes)
        );
        return Err(Outcome::Stalled(Stall::new(Reason::VolumeTooSmall, text)));
    }
    let wanted = claim::build(this, facts.bytes, &ctx.config);
    ctx.applier
        .create(&wanted, there.clone(), Some(uid(this)))
        .await?;
    let Some(claim) = there else {
        return Err(waiting(Reason::Pulling, "its volume was made", SOON));
    };
    let volume = uid(&*claim);
    found.artifact = Some(run(Step::Pull, volume, this, declared, users, found, ctx).await?);
    found.verified = true;
    ctx.metrics
        .pulled(found.artifact.as_ref().map_or(0, |facts| facts.bytes));
    found.progress = None;
    Ok(Outcome::Done)
}

/// The whole owner list and the Secrets of all users, written with the version that was read.
async fn keep_users(this: &ModelArtifact, users: &Users, ctx: &Context) -> Result<(), Outcome> {
    let owners = users.owner_references();
    // Those who only mount it still say nothing about how it is pulled.
    let secrets = users.pull_secrets(&this.name_any());
    let same = this.metadata.owner_references.clone().unwrap_or_default() == owners
        && secrets
            .as_ref()
            .is_none_or(|secrets| this.spec.pull_secrets == *secrets);
    if same {
        return Ok(());
    }
    let api: Api<ModelArtifact> =
        Api::namespaced(ctx.client.clone(), &this.namespace().unwrap_or_default());
    let mut body = json!({ "metadata": {
        "uid": this.uid(),
        "resourceVersion": this.resource_version(),
        "ownerReferences": owners,
    }});
    if let Some(secrets) = secrets {
        body["spec"] = json!({ "pullSecrets": secrets });
    }
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match api
        .patch(&this.name_any(), &params, &Patch::Merge(&body))
        .await
    {
        // The watch brings the new version, and with it the next pass.
        Ok(_) => Err(waiting(Reason::Progressing, "its users changed", SOON)),
        Err(kube::Error::Api(status)) if status.is_conflict() => Err(waiting(
            Reason::Progressing,
            "its users changed",
            Duration::from_secs(1),
        )),
        Err(error) => Err(Outcome::Transient {
            message: format!("failed to write the owners: {error}"),
        }),
    }
}

/// Runs a Job to its result: made when it is not there, looked at when it is.
async fn run(
    step: Step,
    volume: &str,
    this: &ModelArtifact,
    declared: &Registry,
    users: &Users,
    found: &mut Found,
    ctx: &Context,
) -> Result<ArtifactFacts, Outcome> {
    let namespace = this.namespace().unwrap_or_default();
    found.phase = match step {
        Step::Plan => Reason::Planning,
        Step::Pull => Reason::Pulling,
    };
    let beside = users.beside(&this.name_any());
    let name = job::name(step, this, declared, beside.as_ref(), volume);
    for stale in other_jobs(step, this, &name, ctx) {
        ctx.applier.delete(&*stale).await?;
    }
    let Some(there) = lookup(&ctx.stores.jobs, &namespace, &name) else {
        let wanted = job::build(step, name, this, declared, beside.as_ref(), &ctx.config);
        ctx.applier.create(&wanted, None, Some(uid(this))).await?;
        return Err(waiting(found.phase, "its Job was made", SOON));
    };
    // Somebody else's Job of that name is found by this.
    ctx.applier
        .create(&*there, Some(there.clone()), Some(uid(this)))
        .await?;
    let pods = ctx
        .stores
        .pods
        .state_filter(|pod| pod.namespace().as_deref() == Some(&namespace));
    match inspect(&there, &pods) {
        JobState::Running { address, trouble } => {
            Err(running(this, found, address, trouble, ctx).await)
        }
        JobState::Succeeded(message) => {
            let facts = message
                .artifact
                .and_then(|artifact| serde_json::to_value(artifact).ok());
            let facts: Option<ArtifactFacts> = facts.and_then(|v| serde_json::from_value(v).ok());
            facts
                .filter(|facts| this.spec.image.ends_with(&facts.digest))
                .ok_or_else(|| Outcome::Transient {
                    message: "the Job's result is not about this artifact".to_owned(),
                })
        }
        JobState::Lost => {
            ctx.applier.delete(&*there).await?;
            Err(waiting(found.phase, "the Job is run again", SOON))
        }
        JobState::Failed {
            reason,
            message,
            at,
        } => {
            let age = at.map(|at| Timestamp::now().duration_since(at).unsigned_abs());
            let due = age.is_none_or(|age| age >= RETRY);
            if due {
                ctx.applier.delete(&*there).await?;
                return Err(waiting(found.phase, "the Job is tried again", SOON));
            }
            let left = RETRY.saturating_sub(age.unwrap_or_default());
            Err(Outcome::Stalled(Stall::new(reason, message).recheck(left)))
        }
    }
}

/// What a running pull says of itself.
async fn running(
    this: &ModelArtifact,
    found: &mut Found,
    address: Option<String>,
    trouble: Option<(Reason, String)>,
    ctx: &Context,
) -> Outcome {
    let report = match address {
        Some(address) => ctx.progress.ask(uid(this), &address).await,
        None => None,
    };
    if let Some(report) = report {
        found.progressed(&report);
        if let Some(waiting_for) = report.waiting_for {
            let word = serde_json::to_value(waiting_for.reason).unwrap_or_default();
            let reason = word.as_str().and_then(Reason::parse);
            let message = waiting_for
                .message
                .chars()
                .filter(|c| !c.is_control())
                .take(512);
            return Outcome::Stalled(
                Stall::new(
                    reason.unwrap_or(Reason::Unreachable),
                    message.collect::<String>(),
                )
                .recheck(progress::EVERY),
            );
        }
    }
    match trouble {
        Some((Reason::ClaimNodeMismatch, message)) => {
            Outcome::Stalled(Stall::new(Reason::ClaimNodeMismatch, message))
        }
        Some((_, message)) => waiting(found.phase, &message, progress::EVERY),
        None => waiting(found.phase, "its Job runs", progress::EVERY),
    }
}

/// Jobs of ours for the same step and other inputs.
fn other_jobs(step: Step, this: &ModelArtifact, name: &str, ctx: &Context) -> Vec<Arc<Job>> {
    let prefix = format!("{}-{}-", this.name_any(), step.as_str());
    ctx.stores.jobs.state_filter(|job| {
        job.namespace() == this.namespace()
            && job.metadata.deletion_timestamp.is_none()
            && job
                .owner_references()
                .iter()
                .any(|owner| owner.uid == uid(this))
            && job.name_any().starts_with(&prefix)
            && job.name_any() != name
    })
}

fn waiting(reason: Reason, message: &str, after: Duration) -> Outcome {
    Outcome::Waiting {
        reason,
        message: message.to_owned(),
        after,
    }
}

impl From<ApplyError> for Outcome {
    fn from(error: ApplyError) -> Self {
        // What is in the way carries no label of ours, so no watch shows its end: a look a minute.
        let minute = Duration::from_secs(60);
        match &error {
            ApplyError::NameConflict { kind, name } => Self::Stalled(
                Stall::new(
                    Reason::NameConflict,
                    format!("{kind} {name} is somebody else's: delete or rename it, or give this object another name"),
                )
                .recheck(minute),
            ),
            ApplyError::Refused { .. } => {
                Self::Stalled(Stall::new(Reason::ChildRefused, error.to_string()).recheck(minute))
            }
            ApplyError::Request { .. } => Self::Transient {
                message: error.to_string(),
            },
        }
    }
}
