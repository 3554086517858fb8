//! The gate, and the container that copies our binary to the runtime.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EnvVarSource, ExecAction, HTTPGetAction, Lifecycle,
    LifecycleHandler, ObjectFieldSelector, Probe,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::deployment::Inputs;
use super::runtime::{self, MODELS, STORE};
use super::service;
use crate::api::ModelDeployment;
use crate::controller::pod;

/// Where the gate listens for launch.
pub const LEASE_SOCKET: &str = "/run/sealroom/gate/lease.sock";
/// Where the engine listens for the gate.
pub const RUNTIME_SOCKET: &str = "/run/sealroom/runtime/runtime.sock";
const API_KEYS: &str = "/etc/sealroom/api-keys";
const TLS: &str = "/etc/sealroom/tls";
const TOKEN_KEYS: &str = "/etc/sealroom/token-keys";
/// The file of the provider's keys in its volume.
pub(super) const JWKS: &str = "jwks.json";

/// Copies the binary into the volume from which the runtime's container starts it, and lays the engine's store out,
/// which that container cannot write.
#[must_use]
pub fn copy(object: &ModelDeployment, inputs: &Inputs<'_>) -> Container {
    let engine = inputs.model.engine;
    let mut args = ["launch", "--install", "/opt/sealroom"]
        .map(str::to_owned)
        .to_vec();
    let mut mounts = vec![pod::mount("bin", "/opt/sealroom", false)];
    if engine.particulars().has_store() {
        let settings = runtime::settings(object, inputs);
        let settings = serde_json::to_string(&settings).unwrap_or_default();
        args.push(format!("--engine={}", engine.as_str()));
        args.push(format!("--lay-out={STORE}"));
        args.push(format!("--settings={}", literally(&settings)));
        mounts.push(pod::mount("models", MODELS, true));
        mounts.push(pod::mount("store", STORE, false));
    }
    Container {
        name: "copy".to_owned(),
        image: Some(inputs.config.image.clone()),
        args: Some(args),
        resources: pod::resources(
            [("cpu", "10m"), ("memory", "32Mi")],
            [("cpu", "500m"), ("memory", "64Mi")],
        ),
        security_context: Some(pod::restricted()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// As the kubelet gives it to the program: it replaces `$(NAME)` in arguments, and `$$` by `$`.
fn literally(text: &str) -> String {
    text.replace('$', "$$")
}

/// The native sidecar that is the pod's only listener.
#[must_use]
pub fn build(object: &ModelDeployment, inputs: &Inputs<'_>) -> Container {
    let mut mounts = vec![
        pod::mount("lease", "/run/sealroom/gate", false),
        pod::mount("socket", "/run/sealroom/runtime", true),
    ];
    if object.spec.access.api_keys.is_some() {
        mounts.push(pod::mount("api-keys", API_KEYS, true));
    }
    if object.spec.access.tls.is_some() {
        mounts.push(pod::mount("tls", TLS, true));
    }
    if object.spec.access.jwt.is_some() {
        mounts.push(pod::mount("token-keys", TOKEN_KEYS, true));
    }
    Container {
        name: "gate".to_owned(),
        image: Some(inputs.config.image.clone()),
        args: Some(arguments(object, inputs)),
        env: Some(vec![
            EnvVar {
                name: "POD_UID".to_owned(),
                value_from: Some(EnvVarSource {
                    field_ref: Some(ObjectFieldSelector {
                        api_version: Some("v1".to_owned()),
                        field_path: "metadata.uid".to_owned(),
                    }),
                    ..EnvVarSource::default()
                }),
                ..EnvVar::default()
            },
            EnvVar {
                name: "SEALROOM_VERIFY_KEYS".to_owned(),
                value: Some(inputs.verify_keys.to_owned()),
                ..EnvVar::default()
            },
        ]),
        ports: Some(
            [
                (service::scheme(object), 8080),
                ("admin", 8081),
                ("metrics", 8082),
            ]
            .map(port)
            .into(),
        ),
        restart_policy: Some("Always".to_owned()),
        // Passes when proven: the kubelet itself starts the runtime after the proof, however long that takes.
        startup_probe: Some(Probe {
            period_seconds: Some(1),
            failure_threshold: Some(i32::MAX),
            ..probe("/startupz")
        }),
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            failure_threshold: Some(1),
            ..probe("/readyz")
        }),
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            failure_threshold: Some(3),
            ..probe("/livez")
        }),
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                exec: Some(ExecAction {
                    command: Some(["/sealroom", "gate", "--drain"].map(str::to_owned).into()),
                }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        resources: pod::resources(
            [("cpu", "10m"), ("memory", "32Mi")],
            [("cpu", "1"), ("memory", "256Mi")],
        ),
        security_context: Some(pod::restricted()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn arguments(object: &ModelDeployment, inputs: &Inputs<'_>) -> Vec<String> {
    let spec = &object.spec;
    let seal = &inputs.config.seal;
    let mut arguments = vec!["gate".to_owned()];
    let mut flag = |name: &str, value: &str| arguments.push(format!("--{name}={value}"));
    flag("listen", "[::]:8080");
    flag("admin", "[::]:8081");
    flag("metrics", "[::]:8082");
    flag("lease-socket", LEASE_SOCKET);
    flag("runtime-socket", RUNTIME_SOCKET);
    flag("engine", spec.runtime.engine.as_str());
    flag("model", &inputs.model.served_name);
    flag("digest", &inputs.model.image.digest().to_string());
    flag("when-stale", spec.seal.when_stale.as_str());
    flag("own-node", spec.seal.own_node.as_str());
    flag("grace-seconds", &seal.grace_seconds.to_string());
    flag("probe-seconds", &seal.probe_seconds.to_string());
    flag("drain-seconds", &spec.drain_seconds.to_string());
    let limits = &spec.limits;
    let (_, parallel) = inputs.model.slots();
    flag("max-concurrent", &limits.concurrent(parallel).to_string());
    flag("max-queued", &limits.queued_requests.to_string());
    flag("queue-seconds", &limits.queue_seconds.to_string());
    flag("max-body-bytes", &limits.body_bytes.to_string());
    if spec.access.api_keys.is_some() {
        flag("api-keys-dir", API_KEYS);
    }
    if spec.access.tls.is_some() {
        flag("tls-dir", TLS);
    }
    if let Some(jwt) = &spec.access.jwt {
        flag("jwks", &format!("{TOKEN_KEYS}/{JWKS}"));
        flag("jwt-issuer", &literally(&jwt.issuer));
        for audience in &jwt.audiences {
            flag("jwt-audience", &literally(audience));
        }
        flag("jwt-user-claim", &literally(&jwt.user_claim));
    }
    if !inputs.model.sealed {
        arguments.push("--unsealed".to_owned());
    }
    arguments
}

fn port((name, number): (&str, i32)) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// A probe of the admin port, by number and without a host.
pub(super) fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(8081),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}
