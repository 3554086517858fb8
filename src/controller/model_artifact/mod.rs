//! The reconciler of ModelArtifacts: plan, claim, pull, verified.

pub mod build;
pub mod job_state;
mod jobs;
pub mod progress;
pub mod status;
pub mod users;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use self::build::job::Step;
use self::build::{claim, edge_policy, registry};
use self::jobs::Run;
use self::status::Found;
use self::users::Users;
use super::apply::ApplyError;
use super::context::Context;
use super::difference::quantity;
use super::names::{MANAGER, uid};
use super::outcome::{Outcome, Stall};
use super::sealed_policy;
use super::serving::edge;
use super::stores::lookup;
use crate::api::{ModelArtifact, Reason};
use crate::types::ImageRef;

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
    let run = Run {
        this,
        declared,
        users,
        ctx,
    };
    let facts = match found.artifact.clone() {
        Some(facts) => facts,
        None => {
            let facts = run.to_its_end(Step::Plan, "", found).await?;
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
    found.artifact = Some(run.to_its_end(Step::Pull, volume, found).await?);
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
            // Its end is watched.
            ApplyError::Leaving { .. } => waiting(Reason::Progressing, &error.to_string(), minute),
            ApplyError::Refused { .. } => {
                Self::Stalled(Stall::new(Reason::ChildRefused, error.to_string()).recheck(minute))
            }
            ApplyError::Request { .. } => Self::Transient {
                message: error.to_string(),
            },
        }
    }
}
