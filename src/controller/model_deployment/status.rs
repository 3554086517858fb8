//! The status of a ModelDeployment: computed in one place, at the end of every pass; pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::build::{deployment, service};
use super::dereference::Seen;
use super::parts::Role;
use crate::api::memory::MemoryStatus;
use crate::api::model_deployment::{
    AdapterStatus, ArtifactPhase, ArtifactStatus, ModelDeploymentStatus, ModelStatus, SealMode,
};
use crate::api::{ConditionType, ModelArtifact, ModelDeployment, Reason};
use crate::controller::conditions::{Finding, Truth, conditions, find};
use crate::controller::outcome::Outcome;
use crate::controller::serving::access;
use crate::controller::serving::numbers::Numbers;
use crate::controller::serving::runtime;
use crate::controller::serving::summary::{
    Cell, Summary, held, ready, sealed, unfinished, working,
};
use crate::gguf::Need;

/// The status to write.
#[must_use]
pub fn compute(
    this: &ModelDeployment,
    old: &ModelDeploymentStatus,
    seen: &Seen,
    outcome: &Outcome,
    now: Timestamp,
) -> ModelDeploymentStatus {
    use ConditionType as C;
    let numbers = Numbers::of(this.spec.replicas, seen.deployment.as_deref());
    let several = this.spec.models.is_some();
    let artifact = artifacts(several, seen, outcome);
    let sealed = sealed(this.spec.seal.mode, &seen.seal);
    let available = numbers.available(this.spec.replicas);
    let missing = access::missing(&this.spec.access, &seen.seal);
    let fault = runtime::fault(&seen.seal);
    let [ready, reconciling, stalled] =
        summary(this, outcome, &numbers, &artifact, &sealed, missing, fault);
    let findings = [
        (C::Ready, ready),
        (C::Reconciling, reconciling),
        (C::Stalled, stalled),
        (C::ArtifactReady, artifact),
        (C::Sealed, sealed),
        (C::Available, available),
    ]
    .map(|(kind, (truth, reason, message))| Finding::new(kind, truth, reason, message));
    let generation = this.metadata.generation;
    let selector = deployment::selector(this);
    let selector: Vec<String> = selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
    ModelDeploymentStatus {
        conditions: conditions(&findings, &old.conditions, generation, Time(now)),
        observed_generation: generation,
        replicas: numbers.there,
        ready_replicas: numbers.ready,
        updated_replicas: numbers.updated,
        selector: Some(selector.join(",")),
        served_model_name: this.served_names().into_iter().next(),
        url: Some(service::url(this)),
        callers: Some(access::callers(
            &this.spec.access,
            this.spec.seal.mode,
            seen.seal.token_keys,
        )),
        artifact: match seen.models.as_slice() {
            [(_, one)] if !several => one.as_deref().map(artifact_status),
            _ => None,
        },
        models: if several {
            model_statuses(seen)
        } else {
            Vec::new()
        },
        adapters: adapter_statuses(seen),
        projector: projector_status(seen),
        memory: seen.memory.as_ref().map(memory_status),
        seal: Some(seen.seal.status(&seen.exits, seen.guard)),
    }
}

/// The one artifact's, or of several the first one's that is not ready.
fn artifacts(several: bool, seen: &Seen, outcome: &Outcome) -> Cell {
    let models = seen.models.iter().map(|(name, one)| {
        let of = several.then(|| format!("model {name}"));
        (of, one)
    });
    let parts = seen.parts.iter().map(|(part, one)| {
        let of = match &part.role {
            Role::Adapter { name, .. } => format!("adapter {name}"),
            Role::Projector => "projector".to_owned(),
        };
        (Some(of), one)
    });
    let cells = models.chain(parts);
    let mut cells = cells.map(|(of, one)| (of, artifact(one.as_deref(), outcome)));
    let Some((mut of, mut cell)) = cells.next() else {
        return artifact(None, outcome);
    };
    if cell.0 == Truth::True
        && let Some(behind) = cells.find(|(_, cell)| cell.0 != Truth::True)
    {
        (of, cell) = behind;
    }
    if let Some(of) = of.filter(|_| cell.0 != Truth::True) {
        cell.2 = format!("{of}: {}", cell.2);
    }
    cell
}

fn artifact(artifact: Option<&ModelArtifact>, outcome: &Outcome) -> Cell {
    let told = artifact
        .and_then(|artifact| artifact.status.as_ref())
        .and_then(|status| find(&status.conditions, ConditionType::ArtifactReady));
    match (told, outcome) {
        (Some(told), _) => {
            let truth = if told.status == "True" {
                Truth::True
            } else {
                Truth::False
            };
            let reason = Reason::parse(&told.reason).unwrap_or(Reason::Planning);
            (truth, reason, told.message.clone())
        }
        (None, Outcome::Stalled(stall)) => (Truth::False, stall.reason, stall.message.clone()),
        (None, _) => (Truth::False, Reason::Planning, String::new()),
    }
}

/// Ready, Reconciling and Stalled, by what stands in the way, the worst first.
fn summary(
    this: &ModelDeployment,
    outcome: &Outcome,
    numbers: &Numbers,
    artifact: &Cell,
    sealed: &Cell,
    missing: Option<(Reason, String)>,
    fault: Option<Summary>,
) -> Summary {
    if let Outcome::Waiting {
        reason: reason @ Reason::ArtifactNotReady,
        ..
    } = outcome
    {
        let text = format!("the artifact is not there yet: {}", artifact.1);
        return working(*reason, &text);
    }
    if let Some(summary) = unfinished(outcome) {
        return summary;
    }
    let unsealed = this.spec.seal.mode == SealMode::Unsealed;
    let pods = this.spec.replicas > 0;
    if sealed.0 == Truth::False && !unsealed {
        // Probing goes on and it closes by itself, once somebody has taken the way out away.
        held(sealed.1, &sealed.2)
    } else if !unsealed && pods && sealed.0 == Truth::Unknown {
        working(Reason::NotSealed, &sealed.2)
    } else if let Some((reason, text)) = missing.filter(|_| !numbers.complete) {
        held(reason, &text)
    } else if let Some(fault) = fault.filter(|_| pods) {
        fault
    } else if !numbers.complete {
        working(Reason::RollingOut, &numbers.rolling_out(this.spec.replicas))
    } else {
        ready()
    }
}

/// How far an artifact is. Not what the object waits for: each speaks of its own artifact.
fn phase(one: Option<&ModelArtifact>) -> ArtifactPhase {
    ArtifactPhase {
        phase: artifact(one, &Outcome::Done).1.to_string(),
        artifact: one.map(artifact_status),
    }
}

fn adapter_statuses(seen: &Seen) -> Vec<AdapterStatus> {
    let parts = seen.parts.iter();
    let adapters = parts.filter_map(|(part, one)| match &part.role {
        Role::Adapter { name, .. } => Some(AdapterStatus {
            name: name.clone(),
            own: phase(one.as_deref()),
        }),
        Role::Projector => None,
    });
    adapters.collect()
}

fn projector_status(seen: &Seen) -> Option<ArtifactPhase> {
    let mut parts = seen.parts.iter();
    let (_, one) = parts.find(|(part, _)| part.role == Role::Projector)?;
    Some(phase(one.as_deref()))
}

fn model_statuses(seen: &Seen) -> Vec<ModelStatus> {
    let models = seen.models.iter().map(|(name, one)| ModelStatus {
        name: name.clone(),
        own: phase(one.as_deref()),
    });
    models.collect()
}

fn artifact_status(artifact: &ModelArtifact) -> ArtifactStatus {
    let digest = artifact
        .spec
        .image
        .split_once('@')
        .map_or("", |(_, digest)| digest);
    let facts = artifact
        .status
        .as_ref()
        .and_then(|status| status.artifact.clone());
    let facts = facts.unwrap_or_default();
    let known = !facts.format.is_empty();
    ArtifactStatus {
        name: artifact.name_any(),
        digest: digest.to_owned(),
        format: known.then_some(facts.format),
        architecture: facts.architecture,
        quantization: facts.quantization,
        size_bytes: known.then_some(facts.bytes),
        license: facts.license,
    }
}

fn memory_status(need: &Need) -> MemoryStatus {
    let memory = &need.ram;
    let text = |bytes: u64| format!("{}Mi", bytes.div_ceil(1 << 20));
    MemoryStatus {
        weights: text(memory.weights),
        kv_cache: text(memory.kv_cache),
        compute: text(memory.compute),
        total: text(memory.total),
        accelerators: need.vram.map(|vram| text(vram.total)),
        estimate: true,
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
