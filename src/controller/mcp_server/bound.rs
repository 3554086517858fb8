//! Which models of a server can be asked, as `ModelsBound` and `status.models` say it; pure.
//!
//! The operator knows the way to a model. Whether its key and CA are there only the gates know, because the operator reads
//! no Secrets, and whether a Service has pods that live, because it watches none of them: they report what they lack.

use std::collections::BTreeSet;

use super::bind::Binding;
use super::target::Target;
use crate::api::mcp_server::{BoundModel, McpServerStatus};
use crate::api::{McpServer, Reason};
use crate::controller::conditions::Truth;
use crate::controller::seal_view::SealView;
use crate::controller::serving::summary::Cell;
use crate::seal::wire::{Lack, Need};

/// What the gates lack. While none is heard, which is so after an operator's start and between two pods, what was told of
/// this generation stays.
#[must_use]
pub fn lacks(
    this: &McpServer,
    old: &McpServerStatus,
    seal: &SealView,
    bindings: &[Binding],
) -> BTreeSet<Lack> {
    if let Some(said) = &seal.models_lack {
        return said.clone();
    }
    if this.spec.replicas == 0 || old.observed_generation != this.metadata.generation {
        return BTreeSet::new();
    }
    let told = bindings.iter().zip(&old.models);
    told.filter_map(|(binding, told)| {
        let what = match Reason::parse(&told.state)? {
            Reason::SecretMissing => Need::Key,
            Reason::ConfigMapMissing => Need::Ca,
            Reason::ModelUnreachable => Need::Listener,
            _ => return None,
        };
        let port = binding.port;
        Some(Lack { port, what })
    })
    .collect()
}

/// The condition: what holds up a rollout speaks before what does not, and then the first model.
#[must_use]
pub fn condition(bindings: &[Binding], lacks: &BTreeSet<Lack>) -> Cell {
    if bindings.is_empty() {
        return (Truth::True, Reason::NoModels, String::new());
    }
    let obstacles = bindings.iter().filter_map(|one| obstacle(one, lacks));
    let worst = obstacles.min_by_key(|obstacle| obstacle.rank);
    worst.map_or((Truth::True, Reason::Bound, String::new()), |worst| {
        (Truth::False, worst.reason, worst.message)
    })
}

/// One model, as the status lists it.
#[must_use]
pub fn model(binding: &Binding, lacks: &BTreeSet<Lack>) -> BoundModel {
    let state = obstacle(binding, lacks).map_or(Reason::Bound, |obstacle| obstacle.reason);
    BoundModel {
        target: binding.target.to_string(),
        base_url: binding.base_url(),
        model: binding.model.clone(),
        state: state.to_string(),
    }
}

/// Why a model cannot be asked.
struct Obstacle {
    /// The worst is 0.
    rank: u8,
    reason: Reason,
    message: String,
}

fn obstacle(binding: &Binding, lacks: &BTreeSet<Lack>) -> Option<Obstacle> {
    let of = |rank, reason, message| {
        Some(Obstacle {
            rank,
            reason,
            message,
        })
    };
    let way = match &binding.way {
        Ok(way) => way,
        Err(unbound) => return of(0, unbound.reason, unbound.message.clone()),
    };
    let target = &binding.target;
    let lacks = |what| {
        let port = binding.port;
        lacks.contains(&Lack { port, what })
    };
    // The gates look again by themselves, and the kubelet fills a volume in up to 90 s after its source was made.
    if let Some(at) = binding.key.as_ref().filter(|_| lacks(Need::Key)) {
        let text = format!(
            "{target} cannot be asked, because a pod has found no key in entry {} of Secret {} of apiKeySecretRef: make it in this namespace; the pods find it within two minutes",
            at.key, at.name
        );
        return of(1, Reason::SecretMissing, text);
    }
    if let Some(at) = binding.ca.as_ref().filter(|_| lacks(Need::Ca)) {
        let text = format!(
            "{target} cannot be asked, because a pod has found no certificates in entry {} of ConfigMap {} of caConfigMapRef: make it in this namespace; the pods find it within two minutes",
            at.key, at.name
        );
        return of(1, Reason::ConfigMapMissing, text);
    }
    if !way.ready {
        let text = format!("{target} does not serve: look at its own conditions");
        return of(2, Reason::ModelNotReady, text);
    }
    // A gate of an older template may have had a Service at this port.
    if matches!(target, Target::Service { .. }) && lacks(Need::Listener) {
        let text = format!(
            "{target} cannot be asked, because a pod gets no connection to it: see that its pods are ready and listen at its target port, and that they let this server in; it goes on by itself"
        );
        return of(2, Reason::ModelUnreachable, text);
    }
    None
}

#[cfg(test)]
#[path = "bound_tests.rs"]
mod tests;
