//! The status of a ModelDeployment: computed in one place, at the end of every pass; pure.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::build::{deployment, service};
use super::callers;
use super::dereference::Seen;
use crate::api::memory::MemoryStatus;
use crate::api::model_deployment::{ArtifactStatus, ModelDeploymentStatus, SealMode, SealStatus};
use crate::api::{ConditionType, ModelArtifact, ModelDeployment, Reason};
use crate::controller::conditions::{Finding, Truth, conditions, find};
use crate::controller::outcome::Outcome;
use crate::gguf::Memory;

type Cell = (Truth, Reason, String);

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
    let numbers = Numbers::of(this, seen.deployment.as_deref());
    let artifact = artifact(seen.artifact.as_deref(), outcome);
    let sealed = sealed(this, seen);
    let available = available(this, &numbers);
    let missing = (seen.seal.certificate_missing)
        .then(|| certificate_missing(this))
        .or_else(|| seen.seal.keys_missing.then(|| keys_missing(this)));
    let [ready, reconciling, stalled] =
        summary(this, outcome, &numbers, &artifact, &sealed, missing);
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
        served_model_name: Some(
            this.spec
                .served_model_name
                .clone()
                .unwrap_or_else(|| this.name_any()),
        ),
        url: Some(service::url(this)),
        callers: Some(callers::of(this, seen.seal.token_keys)),
        artifact: seen.artifact.as_deref().map(artifact_status),
        memory: seen.memory.as_ref().map(memory_status),
        seal: Some(SealStatus {
            locks: seen.seal.locks.clone(),
            exits: seen.exits.clone(),
            policies: seen.seal.policies.clone(),
            not_evaluated: seen.seal.not_evaluated.clone(),
            tenant_guard: seen.guard,
        }),
    }
}

/// Pods, as the Deployment counts them.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    there: i32,
    ready: i32,
    updated: i32,
    /// The Deployment has what we applied and all its pods are of it and ready.
    complete: bool,
}

impl Numbers {
    fn of(this: &ModelDeployment, deployment: Option<&Deployment>) -> Self {
        let Some(deployment) = deployment else {
            return Self::default();
        };
        let status: DeploymentStatus = deployment.status.clone().unwrap_or_default();
        let number = |n: Option<i32>| n.unwrap_or_default();
        let wanted = this.spec.replicas;
        let [there, ready, updated] = [
            status.replicas,
            status.ready_replicas,
            status.updated_replicas,
        ]
        .map(number);
        let current = status.observed_generation >= deployment.metadata.generation
            && deployment.spec.as_ref().and_then(|spec| spec.replicas) == Some(wanted);
        Self {
            there,
            ready,
            updated,
            complete: current && there == wanted && ready == wanted && updated == wanted,
        }
    }
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

fn sealed(this: &ModelDeployment, seen: &Seen) -> Cell {
    if this.spec.seal.mode == SealMode::Unsealed {
        let text = "the object asks for no seal: nothing is proven about its pods";
        return (Truth::False, Reason::SealDisabled, text.to_owned());
    }
    (seen.seal.truth, seen.seal.reason, seen.seal.message.clone())
}

fn available(this: &ModelDeployment, numbers: &Numbers) -> Cell {
    if numbers.ready > 0 {
        (Truth::True, Reason::Serving, String::new())
    } else if this.spec.replicas == 0 {
        (Truth::False, Reason::ScaledToZero, String::new())
    } else {
        (Truth::False, Reason::NoPodServes, String::new())
    }
}

/// The gates look again by themselves, and the kubelet fills a volume in up to 90 s after its source was made.
fn keys_missing(this: &ModelDeployment) -> (Reason, String) {
    let access = &this.spec.access;
    let key_set = access.jwt.as_ref().map(|jwt| {
        let name = &jwt.jwks.config_map_ref.name;
        format!(
            "nobody is let in, because no pod has found the provider's keys in entry {} of ConfigMap {name} of access.jwt: make it in this namespace; the pods find it within two minutes",
            jwt.jwks.key
        )
    });
    if let (Some(text), None) = (key_set, &access.api_keys) {
        return (Reason::KeySetMissing, text);
    }
    let keys = access.api_keys.as_ref();
    let name = keys.map_or("", |keys| keys.secret_ref.name.as_str());
    let text = format!(
        "nobody is let in, because no pod has found a key in Secret {name} of access.apiKeys: make it in this namespace, with one key in each entry; the pods find it within two minutes"
    );
    (Reason::SecretMissing, text)
}

fn certificate_missing(this: &ModelDeployment) -> (Reason, String) {
    let tls = this.spec.access.tls.as_ref();
    let name = tls.map_or("", |tls| tls.secret_ref.name.as_str());
    let text = format!(
        "nobody is let in, because no pod has found a certificate with its key in Secret {name} of access.tls: make it in this namespace, of type kubernetes.io/tls; the pods find it within two minutes"
    );
    (Reason::SecretMissing, text)
}

/// Ready, Reconciling and Stalled, by what stands in the way, the worst first.
fn summary(
    this: &ModelDeployment,
    outcome: &Outcome,
    numbers: &Numbers,
    artifact: &Cell,
    sealed: &Cell,
    missing: Option<(Reason, String)>,
) -> [Cell; 3] {
    use Truth::{False, True};
    let fine = || (False, Reason::Succeeded, String::new());
    let working = |reason: Reason, text: &str| {
        let cell = (False, reason, text.to_owned());
        [cell, (True, reason, text.to_owned()), fine()]
    };
    let held = |reason: Reason, text: &str| {
        let cell = |truth| (truth, reason, text.to_owned());
        [cell(False), (False, reason, String::new()), cell(True)]
    };
    match outcome {
        Outcome::Stalled(stall) => held(stall.reason, &stall.message),
        Outcome::Transient { message } => {
            let cell = |truth| (truth, Reason::RetryingAfterError, message.clone());
            [cell(False), cell(True), fine()]
        }
        Outcome::Waiting {
            reason: Reason::ArtifactNotReady,
            ..
        } => working(
            Reason::ArtifactNotReady,
            &format!("the artifact is not there yet: {}", artifact.1),
        ),
        Outcome::Waiting {
            reason, message, ..
        } => working(*reason, message),
        Outcome::Done => {
            let unsealed = this.spec.seal.mode == SealMode::Unsealed;
            let opened = sealed.0 == False && !unsealed;
            let pods = this.spec.replicas > 0;
            if opened {
                // Probing goes on and it closes by itself, once somebody has taken the way out away.
                held(sealed.1, &sealed.2)
            } else if !unsealed && pods && sealed.0 == Truth::Unknown {
                working(Reason::NotSealed, &sealed.2)
            } else if let Some((reason, text)) = missing.filter(|_| !numbers.complete) {
                held(reason, &text)
            } else if !numbers.complete {
                let text = format!(
                    "{} of {} pods are of this generation, {} serve",
                    numbers.updated, this.spec.replicas, numbers.ready
                );
                working(Reason::RollingOut, &text)
            } else {
                [(True, Reason::Succeeded, String::new()), fine(), fine()]
            }
        }
    }
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

fn memory_status(memory: &Memory) -> MemoryStatus {
    let text = |bytes: u64| format!("{}Mi", bytes.div_ceil(1 << 20));
    MemoryStatus {
        weights: text(memory.weights),
        kv_cache: text(memory.kv_cache),
        compute: text(memory.compute),
        total: text(memory.total),
        estimate: true,
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
