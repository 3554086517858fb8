//! What is still done for an object of which a pass does not reach the end: its edges get narrower, its pods end.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{Resource, ResourceExt};

use super::edge;
use crate::controller::context::Context;
use crate::controller::names::uid;
use crate::controller::outcome::{Outcome, Stall};
use crate::controller::stores::lookup;

/// Of an invalid object. It gets no edges, but those of pods that run on stay what it declares: who was taken out of
/// `access.from` is out. `edges` is what it declares, where that names everybody by name.
pub async fn narrow<K>(
    this: &K,
    edges: Option<NetworkPolicy>,
    stall: Stall,
    ctx: &Context,
) -> Outcome
where
    K: Resource<DynamicType = ()>,
{
    let namespace = this.namespace().unwrap_or_default();
    let there = |wanted: &NetworkPolicy| {
        let name = wanted.name_any();
        lookup(&ctx.stores.network_policies, &namespace, &name).is_some()
    };
    if let Some(wanted) = edges.filter(there)
        && let Err(unwritten @ Outcome::Transient { .. }) = edge::apply(this, &wanted, ctx).await
    {
        return unwritten;
    }
    Outcome::Stalled(stall)
}

/// Of an object that asks for `replicas` pods: nobody has to mend it first to have none.
pub async fn halt<K>(this: &K, replicas: i32, outcome: Outcome, ctx: &Context) -> Outcome
where
    K: Resource<DynamicType = ()>,
{
    let namespace = this.namespace().unwrap_or_default();
    let there = lookup(&ctx.stores.deployments, &namespace, &this.name_any());
    let Some(there) = there.filter(|_| replicas == 0) else {
        return outcome;
    };
    match ctx.applier.halt(&there, uid(this)).await {
        Ok(()) => outcome,
        Err(error) => error.into(),
    }
}
