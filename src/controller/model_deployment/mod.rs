//! The reconciler of ModelDeployments: dereference, validate, build, apply, status.

pub mod accelerator;
pub mod artifacts;
pub mod build;
pub mod capacity;
pub mod dereference;
pub mod exits;
pub mod models;
pub mod parts;
pub mod status;
pub mod tuning;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use self::artifacts::{Artifacts, memory_of};
use self::build::deployment::{Inputs, Weights};
use self::build::{deployment, edge_policy, service};
use self::dereference::Seen;
use self::validate::{Model, validate};
use super::apply::Compare;
use super::context::Context;
use super::names::uid;
use super::outcome::{Outcome, Stall};
use super::sealed_policy;
use super::serving::access::empty_peer;
use super::serving::{edge, remains};
use super::stores::lookup;
use crate::api::{ModelDeployment, Reason};

/// One pass over one object.
pub async fn reconcile(this: &ModelDeployment, ctx: &Context) -> Outcome {
    if this.metadata.deletion_timestamp.is_some() {
        return Outcome::Done;
    }
    let stored = ctx.status.current(this, this.status.as_ref());
    let model = validate(this, &ctx.config);
    let pass = match &model {
        Ok(model) => advance(this, model, ctx).await,
        Err(invalid) => {
            // A peer that names nobody would mean everybody.
            let named = empty_peer(&this.spec.access.from).is_none();
            let edges = named.then(|| edges(this, ctx));
            Err(remains::narrow(this, edges, Stall::from(invalid.clone()), ctx).await)
        }
    };
    let outcome = match pass {
        Ok(outcome) => outcome,
        Err(outcome) => remains::halt(this, this.spec.replicas, outcome, ctx).await,
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
    let ways = edge::apply(this, &edges(this, ctx), ctx).await?;

    let artifacts = match artifacts::verified(this, model, ctx).await {
        Ok(artifacts) => artifacts,
        // The plan says how much memory is needed, long before the pull is done.
        Err(waits @ Outcome::Waiting { .. }) => {
            if let Some(planned) = artifacts::planned(this, model, ctx) {
                if let Some(stall) = artifacts::foreign(model, &planned) {
                    return Err(Outcome::Stalled(stall));
                }
                workload(this, model, &planned, ctx)?;
            }
            return Err(waits);
        }
        Err(outcome) => return Err(outcome),
    };
    if let Some(stall) = artifacts::useless(model, &artifacts) {
        return Err(Outcome::Stalled(stall));
    }
    let (wanted, there) = workload(this, model, &artifacts, ctx)?;
    ctx.board
        .made()
        .note(uid(this), &wanted, there.as_deref(), Timestamp::now());
    // Pods that are there already are held by the proof; an operator that starts has only now seen the policy.
    if let Some(left) = settle.filter(|_| there.is_none()) {
        return Err(waiting(Reason::Progressing, left));
    }
    let pods = ctx
        .applier
        .apply(&wanted, there, owner, Compare::Ours)
        .await?;

    let wanted = service::build(this);
    let there = lookup(&ctx.stores.services, namespace, &wanted.name_any());
    let address = ctx
        .applier
        .apply(&wanted, there, owner, Compare::Ours)
        .await?;
    // A shared policy that is not there yet, though pods are, may have been taken away.
    Ok(Outcome::of_pods(pods).with(address).with(ways).by(settle))
}

fn edges(this: &ModelDeployment, ctx: &Context) -> NetworkPolicy {
    edge_policy::build(this, &ctx.config, &ctx.servers_of(this))
}

/// The Deployment and the one that is there, if a node has the memory for one of its pods.
fn workload(
    this: &ModelDeployment,
    model: &Model,
    artifacts: &Artifacts,
    ctx: &Context,
) -> Result<(Deployment, Option<Arc<Deployment>>), Outcome> {
    let memory = memory_of(
        model,
        artifacts.models.iter().map(|one| &**one),
        artifacts.parts.iter().map(|one| &**one),
    );
    let wanted = deployment::build(
        this,
        &Inputs {
            model,
            weights: artifacts.models.map(|artifact| Weights::of(artifact)),
            parts: artifacts.parts.iter().map(|one| Weights::of(one)).collect(),
            memory: memory.map(|memory| memory.ram.total),
            verify_keys: &ctx.verify_keys,
            config: &ctx.config,
        },
    );
    let there = lookup(&ctx.stores.deployments, &model.namespace, &this.name_any());
    let nodes = ctx.stores.nodes.state();
    capacity::check(
        &wanted,
        there.as_deref(),
        memory.map(|need| need.ram),
        &nodes,
    )
    .map_err(Outcome::Stalled)?;
    Ok((wanted, there))
}

fn waiting(reason: Reason, after: Duration) -> Outcome {
    Outcome::Waiting {
        reason,
        message: String::new(),
        after,
    }
}
