//! The Jobs of an artifact, each made, looked at and run again until it has a result.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::build::job::{self, Step};
use super::job_state::{JobState, inspect};
use super::status::Found;
use super::users::Users;
use super::{SOON, progress, waiting};
use crate::api::model_artifact::ArtifactFacts;
use crate::api::{ModelArtifact, Reason};
use crate::controller::config::Registry;
use crate::controller::context::Context;
use crate::controller::names::uid;
use crate::controller::outcome::{Outcome, Stall};
use crate::controller::stores::lookup;
use crate::pull::TerminationMessage;

/// How often a Job that failed for good is tried again: whoever mended the registry need not tell us.
const RETRY: Duration = Duration::from_secs(600);

/// What the Jobs of an artifact are made from.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    /// The artifact.
    pub this: &'a ModelArtifact,
    /// Its registry.
    pub declared: &'a Registry,
    /// Who uses it.
    pub users: &'a Users,
    /// What every pass has.
    pub ctx: &'a Context,
}

impl Run<'_> {
    /// Runs a Job to its result: made when it is not there, looked at when it is. `volume` is the UID of the claim that it
    /// fills, if it does.
    ///
    /// # Errors
    /// How the pass ends while there is no result.
    pub async fn to_its_end(
        self,
        step: Step,
        volume: &str,
        found: &mut Found,
    ) -> Result<ArtifactFacts, Outcome> {
        let Self {
            this,
            declared,
            users,
            ctx,
        } = self;
        let namespace = this.namespace().unwrap_or_default();
        found.phase = match step {
            Step::Plan => Reason::Planning,
            Step::Pull => Reason::Pulling,
        };
        let beside = users.beside(&this.name_any());
        let name = job::name(step, this, declared, beside.as_ref(), volume);
        for stale in self.others(step, &name) {
            ctx.applier.delete(&*stale).await?;
        }
        let there = lookup(&ctx.stores.jobs, &namespace, &name);
        let wanted = job::build(step, name, this, declared, beside.as_ref(), &ctx.config);
        // Somebody else's Job of that name is found by this.
        ctx.applier
            .create(&wanted, there.clone(), Some(uid(this)))
            .await?;
        let Some(there) = there else {
            return Err(waiting(found.phase, "its Job was made", SOON));
        };
        let pods = ctx
            .stores
            .pods
            .state_filter(|pod| pod.namespace().as_deref() == Some(&namespace));
        match inspect(&there, &pods) {
            JobState::Running { address, trouble } => {
                Err(self.goes_on(found, address, trouble).await)
            }
            JobState::Succeeded(message) => self.facts(*message),
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

    /// The result, if it is about this artifact.
    fn facts(self, message: TerminationMessage) -> Result<ArtifactFacts, Outcome> {
        let facts = message
            .artifact
            .and_then(|artifact| serde_json::to_value(artifact).ok());
        let facts: Option<ArtifactFacts> = facts.and_then(|v| serde_json::from_value(v).ok());
        facts
            .filter(|facts| self.this.spec.image.ends_with(&facts.digest))
            .ok_or_else(|| Outcome::Transient {
                message: "the Job's result is not about this artifact".to_owned(),
            })
    }

    /// What a running pull says of itself.
    async fn goes_on(
        self,
        found: &mut Found,
        address: Option<String>,
        trouble: Option<(Reason, String)>,
    ) -> Outcome {
        let report = match address {
            Some(address) => self.ctx.progress.ask(uid(self.this), &address).await,
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
    fn others(self, step: Step, name: &str) -> Vec<Arc<Job>> {
        let this = self.this;
        let prefix = format!("{}-{}-", this.name_any(), step.as_str());
        self.ctx.stores.jobs.state_filter(|job| {
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
}
