//! The gate's container, and the one that copies our binary to the program behind it.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EnvVarSource, ExecAction, HTTPGetAction, Lifecycle,
    LifecycleHandler, ObjectFieldSelector, Probe, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::access;
use crate::api::model_deployment::{Access, Seal};
use crate::controller::config::{Config, SealConfig};
use crate::controller::pod;

/// Where the gate listens for whoever starts the program behind it.
pub const LEASE_SOCKET: &str = "/run/sealroom/gate/lease.sock";
/// Where the program listens for the gate.
pub const RUNTIME_SOCKET: &str = "/run/sealroom/runtime/runtime.sock";

/// A command line.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<String>);

impl Flags {
    /// Beginning with these words.
    #[must_use]
    pub fn new<const N: usize>(words: [&str; N]) -> Self {
        Self(words.map(str::to_owned).into())
    }

    /// Adds `--name=value`.
    pub fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0.push(format!("--{name}={value}"));
    }

    /// Adds `--name`.
    pub fn on(&mut self, name: &str) {
        self.0.push(format!("--{name}"));
    }

    /// All of it.
    #[must_use]
    pub fn into_words(self) -> Vec<String> {
        self.0
    }
}

/// The gate's flags about where it listens.
#[must_use]
pub fn flags() -> Flags {
    let mut flags = Flags::new(["gate"]);
    flags.set("listen", "[::]:8080");
    flags.set("admin", "[::]:8081");
    flags.set("metrics", "[::]:8082");
    flags.set("lease-socket", LEASE_SOCKET);
    flags.set("runtime-socket", RUNTIME_SOCKET);
    flags
}

/// The gate's flags about the seal and the pod's end.
pub fn seal_flags(flags: &mut Flags, seal: &Seal, config: &SealConfig, drain_seconds: i64) {
    flags.set("when-stale", seal.when_stale.as_str());
    flags.set("own-node", seal.own_node.as_str());
    flags.set("grace-seconds", config.grace_seconds);
    flags.set("probe-seconds", config.probe_seconds);
    flags.set("drain-seconds", drain_seconds);
}

/// As the kubelet gives it to the program: it replaces `$(NAME)` in arguments, and `$$` by `$`.
#[must_use]
pub fn literally(text: &str) -> String {
    text.replace('$', "$$")
}

/// Copies the binary into the volume from which the other container starts it.
#[must_use]
pub fn copy(config: &Config, args: Vec<String>, mounts: Vec<VolumeMount>) -> Container {
    Container {
        name: "copy".to_owned(),
        image: Some(config.image.clone()),
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

/// The native sidecar that is the pod's only listener, with this memory as its limit.
#[must_use]
pub fn container(
    config: &Config,
    verify_keys: &str,
    access: &Access,
    args: Vec<String>,
    more: Vec<VolumeMount>,
    memory: &str,
) -> Container {
    let mut mounts = vec![
        pod::mount("lease", "/run/sealroom/gate", false),
        pod::mount("socket", "/run/sealroom/runtime", true),
    ];
    mounts.extend(access::mounts(access));
    mounts.extend(more);
    Container {
        name: "gate".to_owned(),
        image: Some(config.image.clone()),
        args: Some(args),
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
                value: Some(verify_keys.to_owned()),
                ..EnvVar::default()
            },
        ]),
        ports: Some(
            [
                (access::scheme(access), 8080),
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
            [("cpu", "1"), ("memory", memory)],
        ),
        security_context: Some(pod::restricted()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// The gate knows whether the program hangs; nothing listens in that container.
#[must_use]
pub fn hangs_probe() -> Probe {
    Probe {
        period_seconds: Some(10),
        failure_threshold: Some(3),
        ..probe("/runtimez")
    }
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
fn probe(path: &str) -> Probe {
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
