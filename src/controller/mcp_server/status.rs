//! The status of an McpServer: computed in one place, at the end of every pass; pure.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::bind::Binding;
use super::build::{deployment, service};
use super::{bound, said};
use crate::api::mcp_server::McpServerStatus;
use crate::api::model_deployment::{SealMode, TenantGuard};
use crate::api::{ConditionType, McpServer, Reason};
use crate::controller::conditions::{Finding, Truth, conditions, find};
use crate::controller::outcome::Outcome;
use crate::controller::seal_view::SealView;
use crate::controller::serving::access;
use crate::controller::serving::numbers::Numbers;
use crate::controller::serving::runtime;
use crate::controller::serving::summary::{
    Cell, Summary, held, ready, sealed, unfinished, working,
};
use crate::seal::wire::Pin;

/// What the stores know.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its Deployment.
    pub deployment: Option<Arc<Deployment>>,
    /// What is proven about its pods.
    pub seal: SealView,
    /// Its models.
    pub bindings: Vec<Binding>,
    /// What its pods do not start without.
    pub awaited: Option<Summary>,
    /// Every declared way in and out.
    pub exits: Vec<String>,
    /// What the tenant guard refuses in its namespace.
    pub guard: TenantGuard,
}

/// The status to write.
#[must_use]
pub fn compute(
    this: &McpServer,
    old: &McpServerStatus,
    seen: &Seen,
    outcome: &Outcome,
    now: Timestamp,
) -> McpServerStatus {
    use ConditionType as C;
    let spec = &this.spec;
    let numbers = Numbers::of(spec.replicas, seen.deployment.as_deref());
    let lacks = bound::lacks(this, old, &seen.seal, &seen.bindings);
    let models = bound::condition(&seen.bindings, &lacks);
    let tools = tools(this, old, seen);
    let sealed = sealed(spec.seal.mode, &seen.seal);
    let [ready, reconciling, stalled] =
        summary(this, outcome, seen, &numbers, [&models, &tools, &sealed]);
    let findings = [
        (C::Ready, ready),
        (C::Reconciling, reconciling),
        (C::Stalled, stalled),
        (C::ModelsBound, models),
        (C::ToolsPinned, tools),
        (C::Sealed, sealed),
        (C::Available, numbers.available(spec.replicas)),
    ]
    .map(|(kind, (truth, reason, message))| Finding::new(kind, truth, reason, message));
    let generation = this.metadata.generation;
    let selector = deployment::selector(this);
    let selector: Vec<String> = selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mcp = seen.seal.mcp.as_ref();
    McpServerStatus {
        conditions: conditions(&findings, &old.conditions, generation, Time(now)),
        observed_generation: generation,
        replicas: numbers.there,
        ready_replicas: numbers.ready,
        updated_replicas: numbers.updated,
        selector: Some(selector.join(",")),
        url: Some(service::url(this)),
        callers: Some(access::callers(
            &spec.access,
            spec.seal.mode,
            seen.seal.token_keys,
        )),
        // What was told last stays until something else is.
        server_info: mcp
            .and_then(said::server_info)
            .or_else(|| old.server_info.clone()),
        tools: mcp.and_then(said::tools).or_else(|| old.tools.clone()),
        models: (seen.bindings.iter())
            .map(|one| bound::model(one, &lacks))
            .collect(),
        seal: Some(seen.seal.status(&seen.exits, seen.guard)),
    }
}

fn tools(this: &McpServer, old: &McpServerStatus, seen: &Seen) -> Cell {
    if this.spec.tools.pin.is_none() {
        // The tools that the status still has may be those of the pods before.
        let listed = seen.seal.mcp.as_ref().map(|mcp| mcp.pin);
        return match listed {
            Some(Pin::Unknown) => unknown(),
            _ => (Truth::Unknown, Reason::NotPinned, String::new()),
        };
    }
    match &seen.seal.mcp {
        Some(mcp) => match mcp.pin {
            Pin::Ok => (Truth::True, Reason::Pinned, String::new()),
            Pin::Drift => {
                let text = format!(
                    "the server is out of service, because its tools are not those of tools.pin: {}; look at what changed, and write the new pin if it is wanted (sealroom pin)",
                    said::drift(mcp)
                );
                (Truth::False, Reason::ToolsDrifted, text)
            }
            Pin::Unknown => unknown(),
        },
        // What a predecessor knew counts until the gates are heard.
        None if seen.seal.truth == Truth::True => find(&old.conditions, ConditionType::ToolsPinned)
            .filter(|told| told.reason == Reason::Pinned.as_str())
            .map_or_else(unknown, |_| (Truth::True, Reason::Pinned, String::new())),
        None => unknown(),
    }
}

fn unknown() -> Cell {
    let text = "the server has not listed its tools yet, or gives errors instead";
    (Truth::Unknown, Reason::ToolsUnknown, text.to_owned())
}

/// Ready, Reconciling and Stalled, by what stands in the way, the worst first.
fn summary(
    this: &McpServer,
    outcome: &Outcome,
    seen: &Seen,
    numbers: &Numbers,
    [models, tools, sealed]: [&Cell; 3],
) -> Summary {
    if let Some(summary) = unfinished(outcome) {
        return summary;
    }
    let unsealed = this.spec.seal.mode == SealMode::Unsealed;
    let wanted = this.spec.replicas;
    if sealed.0 == Truth::False && !unsealed {
        // Probing goes on and it closes by itself, once somebody has taken the way out away.
        return held(sealed.1, &sealed.2);
    }
    if tools.1 == Reason::ToolsDrifted {
        return held(tools.1, &tools.2);
    }
    let awaited = seen.awaited.clone();
    if let Some(summary) = awaited.filter(|_| wanted > 0 && !numbers.complete) {
        // Before the proof: a pod that has not begun has no gate that could be asked.
        return summary;
    }
    if !unsealed && wanted > 0 && sealed.0 == Truth::Unknown {
        return working(Reason::NotSealed, &sealed.2);
    }
    let missing = access::missing(&this.spec.access, &seen.seal);
    if let Some((reason, text)) = missing.filter(|_| !numbers.complete) {
        return held(reason, &text);
    }
    let fault = runtime::fault_of_server(&seen.seal, numbers.ready < wanted);
    if let Some(fault) = fault.filter(|_| wanted > 0) {
        return fault;
    }
    if !numbers.complete {
        return working(Reason::RollingOut, &numbers.rolling_out(wanted));
    }
    if models.0 != Truth::True {
        return working(Reason::ModelsNotBound, &models.2);
    }
    ready()
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
