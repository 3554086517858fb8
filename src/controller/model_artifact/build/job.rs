//! The Jobs that plan and pull.

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{Container, ContainerPort, PodTemplateSpec};
use kube::ResourceExt;
use kube::api::ObjectMeta;

use crate::api::ModelArtifact;
use crate::controller::config::{Config, Registry};
use crate::controller::model_artifact::users::Beside;
use crate::controller::names::{
    ARTIFACT, OWNER_UID, SEALED, TOGETHER, child_meta, labels, short_hash, uid,
};
use crate::controller::pod;

mod volumes;

use volumes::{mounted, other, volumes};

/// Which Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reads manifest and header.
    Plan,
    /// Fills the claim.
    Pull,
}

impl Step {
    /// As in the Job's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Pull => "pull",
        }
    }
}

/// The container's name in both Jobs.
pub const CONTAINER: &str = "pull";

/// The Job's name: the artifact and the hash of the inputs, not of our image, so that an upgrade of ours
/// pulls nothing again.
///
/// What lies beside it is an input of the pull: a pod that waits for the claim of an artifact which the object does not
/// name any more would wait for ever. So is `volume`, the UID of the claim: what filled another one says nothing of this.
#[must_use]
pub fn name(
    step: Step,
    artifact: &ModelArtifact,
    registry: &Registry,
    beside: Option<&Beside>,
    volume: &str,
) -> String {
    let declaration = serde_json::to_string(registry).unwrap_or_default();
    let secrets = artifact
        .spec
        .pull_secrets
        .iter()
        .map(|secret| secret.name.as_str());
    let inputs = [
        artifact.spec.image.as_str(),
        declaration.as_str(),
        artifact.spec.layout.as_str(),
        volume,
    ];
    let beside = beside.filter(|_| step == Step::Pull);
    let beside = beside.into_iter().flat_map(|beside| &beside.artifacts);
    let beside = beside.map(String::as_str);
    let hash = short_hash(inputs.into_iter().chain(secrets).chain(beside), 8);
    format!("{}-{}-{hash}", artifact.name_any(), step.as_str())
}

/// The Job. One of several artifacts is pulled where the others are: its pod has their claims too, though it mounts none of
/// them, so that the scheduler finds one node for all.
#[must_use]
pub fn build(
    step: Step,
    name: String,
    artifact: &ModelArtifact,
    registry: &Registry,
    beside: Option<&Beside>,
    config: &Config,
) -> Job {
    let claim = artifact.spec.delivery.claim();
    let this = artifact.name_any();
    let mut labels = labels(step.as_str(), &this);
    labels.insert(SEALED.to_owned(), "pull".to_owned());
    labels.insert(ARTIFACT.to_owned(), this.clone());
    labels.insert(OWNER_UID.to_owned(), uid(artifact).to_owned());
    let (mut volumes, mounts) = volumes(step, artifact, registry);
    let mut shared = claim
        .access_mode
        .one_node()
        .then_some((ARTIFACT, this.as_str()));
    if let (Some(shared), Some(beside), Step::Pull) = (&mut shared, beside, step) {
        *shared = (TOGETHER, &beside.object);
        labels.insert(TOGETHER.to_owned(), beside.object.clone());
        volumes.extend(beside.artifacts.iter().map(|artifact| other(artifact)));
    }
    let mut pod = pod::base(config, &artifact.spec.scheduling, shared);
    if step == Step::Plan {
        // There is no volume yet that ties it to a node.
        pod.affinity = pod.affinity.and_then(|affinity| {
            let node_affinity = affinity.node_affinity?;
            Some(k8s_openapi::api::core::v1::Affinity {
                node_affinity: Some(node_affinity),
                ..Default::default()
            })
        });
    }
    pod.restart_policy = Some("Never".to_owned());
    pod.volumes = Some(volumes);
    pod.containers = vec![Container {
        name: CONTAINER.to_owned(),
        image: Some(config.image.clone()),
        args: Some(arguments(step, artifact, registry)),
        ports: Some(vec![ContainerPort {
            name: Some("progress".to_owned()),
            container_port: 8081,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        resources: pod::resources(
            [("cpu", "100m"), ("memory", "64Mi")],
            [("cpu", "2"), ("memory", "256Mi")],
        ),
        security_context: Some(pod::restricted()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }];
    Job {
        metadata: child_meta(artifact, name, step.as_str()),
        spec: Some(JobSpec {
            backoff_limit: Some(6),
            ttl_seconds_after_finished: Some(3_600),
            pod_failure_policy: Some(failure_policy()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

fn arguments(step: Step, artifact: &ModelArtifact, registry: &Registry) -> Vec<String> {
    let mut arguments: Vec<String> = ["pull", &artifact.spec.image, "--to", "/models"]
        .map(str::to_owned)
        .into();
    let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    flag("--layout", artifact.spec.layout.as_str().to_owned());
    if !artifact.spec.kind.is_model() {
        flag("--kind", artifact.spec.kind.as_str().to_owned());
    }
    flag("--allow-host", registry.host.clone());
    let host = registry
        .host
        .rsplit_once(':')
        .map_or(registry.host.as_str(), |(host, _)| host);
    for address in &registry.addresses {
        flag("--resolve", format!("{host}={address}"));
    }
    if !registry.ca.is_empty() {
        flag("--ca", "/etc/sealroom/registry/ca.crt".to_owned());
    }
    for secret in &artifact.spec.pull_secrets {
        flag(
            "--auth-file",
            format!("{}/.dockerconfigjson", mounted(&secret.name)),
        );
    }
    flag("--progress-listen", "[::]:8081".to_owned());
    flag("--termination-message", "/dev/termination-log".to_owned());
    flag("--output", "json".to_owned());
    arguments.push("--wait".to_owned());
    if step == Step::Plan {
        arguments.push("--plan".to_owned());
    }
    arguments
}

/// Wrong usage, a refusal, an undeclared registry and a full volume end the Job; a drained node costs no try.
fn failure_policy() -> PodFailurePolicy {
    PodFailurePolicy {
        rules: vec![
            PodFailurePolicyRule {
                action: "FailJob".to_owned(),
                on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                    container_name: Some(CONTAINER.to_owned()),
                    operator: "In".to_owned(),
                    values: vec![2, 3, 4, 5],
                }),
                on_pod_conditions: None,
            },
            PodFailurePolicyRule {
                action: "Ignore".to_owned(),
                on_exit_codes: None,
                on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                    type_: "DisruptionTarget".to_owned(),
                    status: "True".to_owned(),
                }]),
            },
        ],
    }
}
