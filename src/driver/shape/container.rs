//! What of one container is compared; pure.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, PodSecurityContext, Probe, VolumeMount,
};

use super::{Facts, filled, json, security};

/// Where a container says its last words, unless it is written otherwise.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// The container of a pod with that security context.
pub(super) fn facts(container: &Container, pod: Option<&PodSecurityContext>) -> Facts {
    let mut facts = Facts::default();
    facts.show("image", container.image.clone().unwrap_or_default());
    facts.list("command", container.command.as_deref());
    facts.list("args", container.args.as_deref());
    if let Some(directory) = filled(&container.working_dir) {
        facts.show("workingDir", directory);
    }
    for variable in container.env.iter().flatten() {
        facts.hide(&format!("env {}", variable.name), &value(variable));
    }
    facts.list("envFrom", container.env_from.as_deref());
    let mut ports: Vec<String> = container.ports.iter().flatten().map(port).collect();
    ports.sort();
    facts.list("ports", Some(ports.as_slice()));
    for one in container.volume_mounts.iter().flatten() {
        facts.hide(&format!("mount {}", one.mount_path), &mount(one));
    }
    for one in container.volume_devices.iter().flatten() {
        facts.hide(&format!("device {}", one.device_path), &one.name);
    }
    let probes = [
        ("startupProbe", &container.startup_probe),
        ("readinessProbe", &container.readiness_probe),
        ("livenessProbe", &container.liveness_probe),
    ];
    for (field, probe) in probes {
        if let Some(probe) = probe {
            facts.hide(field, &handler(probe));
        }
    }
    if let Some(lifecycle) = &container.lifecycle {
        facts.hide("lifecycle", &json(lifecycle));
    }
    if let Some(policy) = filled(&container.restart_policy) {
        facts.show("restartPolicy", policy);
    }
    facts.on("stdin", container.stdin);
    // The kubelet copies what lies there, or the end of the log, into the pod's status.
    let path = filled(&container.termination_message_path);
    if let Some(path) = path.filter(|path| *path != TERMINATION_LOG) {
        facts.show("terminationMessagePath", path);
    }
    let policy = filled(&container.termination_message_policy);
    if let Some(policy) = policy.filter(|policy| *policy != "File") {
        facts.show("terminationMessagePolicy", policy);
    }
    security::of_container(&mut facts, pod, container.security_context.as_ref());
    facts
}

fn value(variable: &EnvVar) -> String {
    json(&(filled(&variable.value), &variable.value_from))
}

fn port(port: &ContainerPort) -> String {
    json(&(
        filled(&port.name),
        port.container_port,
        filled(&port.protocol).unwrap_or("TCP"),
        port.host_port.filter(|port| *port != 0),
        filled(&port.host_ip),
    ))
}

fn mount(mount: &VolumeMount) -> String {
    json(&(
        &mount.name,
        filled(&mount.sub_path),
        filled(&mount.sub_path_expr),
        mount.read_only.unwrap_or(false),
        filled(&mount.mount_propagation).filter(|way| *way != "None"),
    ))
}

/// What a probe does; how often it does it and how long it waits is not compared.
fn handler(probe: &Probe) -> String {
    let http = probe.http_get.as_ref().map(|http| {
        (
            filled(&http.host),
            filled(&http.scheme).unwrap_or("HTTP"),
            &http.port,
            filled(&http.path).unwrap_or("/"),
            &http.http_headers,
        )
    });
    json(&(&probe.exec, http, &probe.tcp_socket, &probe.grpc))
}
