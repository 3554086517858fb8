//! The reconciler of McpServers: dereference, validate, build, apply, status.

pub mod awaited;
pub mod bind;
pub mod bound;
pub mod build;
pub mod references;
mod said;
pub mod status;
pub mod target;
pub mod validate;
pub mod way;

use std::time::Duration;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use self::awaited::awaited;
use self::bind::Binding;
use self::build::deployment::{self, Inputs};
use self::build::{edge_policy, service};
use self::status::Seen;
use self::validate::{Server, validate};
use super::apply::Compare;
use super::context::Context;
use super::names::{OWNER_UID, uid};
use super::outcome::{Outcome, Stall};
use super::sealed_policy;
use super::serving::{edge, remains};
use super::stores::lookup;
use crate::api::{McpServer, Reason};

/// Every change of what it waits for triggers; this is for a change that was missed.
const LONG: Duration = Duration::from_secs(300);

/// One pass over one object.
pub async fn reconcile(this: &McpServer, ctx: &Context) -> Outcome {
    if this.metadata.deletion_timestamp.is_some() {
        return Outcome::Done;
    }
    let stored = ctx.status.current(this, this.status.as_ref());
    let bindings = ctx.stores.targets().bind(this, &ctx.config);
    let edges = edge_policy::build(this, &bindings, &ctx.config);
    let pass = match validate(this, &ctx.config) {
        Ok(server) => advance(this, &server, &bindings, &edges, ctx).await,
        Err(invalid) => {
            // A peer that names nobody would mean everybody.
            let edges = validate::peers(this).is_ok().then_some(edges);
            Err(remains::narrow(this, edges, Stall::from(invalid), ctx).await)
        }
    };
    let outcome = match pass {
        Ok(outcome) => outcome,
        Err(outcome) => remains::halt(this, this.spec.replicas, outcome, ctx).await,
    };
    let namespace = this.namespace().unwrap_or_default();
    let told = this.status.as_ref();
    let owner = uid(this);
    let pods = ctx.stores.pods.state_filter(|pod| {
        pod.metadata.namespace == this.metadata.namespace
            && pod.labels().get(OWNER_UID).is_some_and(|uid| uid == owner)
    });
    let awaited = awaited(this, &pods, Timestamp::now());
    let again = awaited.again;
    let seen = Seen {
        deployment: lookup(&ctx.stores.deployments, &namespace, &this.name_any()),
        seal: ctx.seal_of(
            uid(this),
            told.map_or(&[], |status| &status.conditions),
            told.and_then(|status| status.seal.as_ref()),
        ),
        awaited: awaited.told,
        exits: edge_policy::exits(this, &bindings, &ctx.config),
        guard: ctx.stores.guard(&namespace),
        bindings,
    };
    let status = status::compute(this, &stored, &seen, &outcome, Timestamp::now());
    let conditions = (stored.conditions.as_slice(), status.conditions.as_slice());
    match ctx.status.write(this, &stored, &status, conditions).await {
        Ok(()) => outcome.by(again),
        Err(error) => Outcome::Transient {
            message: format!("failed to write status: {error}"),
        },
    }
}

/// The children in order: what closes a pod is there before the pod, and the address last.
async fn advance(
    this: &McpServer,
    server: &Server,
    bindings: &[Binding],
    edges: &NetworkPolicy,
    ctx: &Context,
) -> Result<Outcome, Outcome> {
    let namespace = server.namespace.as_str();
    let owner = Some(uid(this));
    let settle = if server.sealed {
        sealed_policy::ensure(&ctx.applier, &ctx.stores, namespace, &ctx.namespace).await?
    } else {
        None
    };
    let ways = edge::apply(this, edges, ctx).await?;

    // The pods that are there stay as they are: their edge to the model is closed, and its calls fail.
    if let Some(unbound) = bindings.iter().find_map(|one| one.way.as_ref().err()) {
        return Err(Outcome::Waiting {
            reason: Reason::ModelsNotBound,
            message: unbound.message.clone(),
            after: LONG,
        });
    }
    let inputs = Inputs {
        server,
        bindings,
        verify_keys: &ctx.verify_keys,
        config: &ctx.config,
    };
    let wanted = deployment::build(this, &inputs);
    let there = lookup(&ctx.stores.deployments, namespace, &this.name_any());
    ctx.board
        .made()
        .note(uid(this), &wanted, there.as_deref(), Timestamp::now());
    // Pods that are there already are held by the proof; an operator that starts has only now seen the policy.
    if let Some(after) = settle.filter(|_| there.is_none()) {
        return Err(Outcome::Waiting {
            reason: Reason::Progressing,
            message: String::new(),
            after,
        });
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

#[cfg(test)]
mod golden_tests;
