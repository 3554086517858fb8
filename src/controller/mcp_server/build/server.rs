//! The server's container: the bridge, and the server as its child.

use k8s_openapi::api::core::v1::{
    ConfigMapKeySelector, ConfigMapVolumeSource, Container, EnvVar, EnvVarSource,
    PersistentVolumeClaimVolumeSource, ResourceRequirements, SecretKeySelector, SecretVolumeSource,
    Volume, VolumeMount,
};

use super::super::bind::Binding;
use super::super::validate::Lock;
use super::deployment::Inputs;
use crate::api::McpServer;
use crate::api::mcp_server::{EnvVar as Written, InjectedValue};
use crate::controller::pod;
use crate::controller::serving::gate::{
    Flags, LEASE_SOCKET, RUNTIME_SOCKET, hangs_probe, literally,
};

/// The container's name.
pub const CONTAINER: &str = "server";
/// What a server gets in the place of a key: the gate adds the real one.
const PLACEHOLDER: &str = "added-by-the-gate";

/// The container.
#[must_use]
pub fn build(object: &McpServer, inputs: &Inputs<'_>) -> Container {
    let resources = object.spec.resources.clone();
    let some = |map: std::collections::BTreeMap<_, _>| (!map.is_empty()).then_some(map);
    Container {
        name: CONTAINER.to_owned(),
        image: Some(inputs.server.image.clone()),
        command: Some(command(object, inputs)),
        env: Some(environment(object, inputs.bindings)),
        liveness_probe: Some(hangs_probe()),
        resources: Some(ResourceRequirements {
            requests: some(resources.requests),
            limits: some(resources.limits),
            claims: None,
        }),
        security_context: Some(pod::restricted()),
        volume_mounts: Some(mounts(object)),
        ..Container::default()
    }
}

fn command(object: &McpServer, inputs: &Inputs<'_>) -> Vec<String> {
    let spec = &object.spec;
    let mut flags = Flags::new(["/opt/sealroom/sealroom", "bridge"]);
    flags.set("socket", RUNTIME_SOCKET);
    flags.set("lease-socket", LEASE_SOCKET);
    flags.set("max-children", spec.isolation.max_children);
    if let Some(bytes) = inputs.server.child_memory {
        flags.set("child-memory", bytes);
    }
    flags.set("drain-seconds", spec.drain_seconds);
    flags.set("lock", inputs.server.lock.as_str());
    if inputs.server.lock == Lock::Streams {
        for binding in inputs.bindings {
            flags.set("connect-port", binding.port);
        }
    }
    if let Some(http) = &spec.transport.http {
        flags.set("http-port", http.port);
    }
    let mut words = flags.into_words();
    words.push("--".to_owned());
    words.extend(spec.transport.command().iter().map(|word| literally(word)));
    words
}

/// What tells the server about its models, then what the object says. The root file system cannot be written, so that
/// programs which keep something at home find a place.
fn environment(object: &McpServer, bindings: &[Binding]) -> Vec<EnvVar> {
    let plain = |name: &str, value: &str| EnvVar {
        name: name.to_owned(),
        value: Some(literally(value)),
        value_from: None,
    };
    let mut env = Vec::new();
    if !object.spec.env.iter().any(|env| env.name == "HOME") {
        env.push(plain("HOME", "/tmp"));
    }
    for binding in bindings {
        for variable in &binding.env {
            let value = match variable.value {
                InjectedValue::BaseUrl => Some(binding.base_url()),
                InjectedValue::ApiKey => Some(PLACEHOLDER.to_owned()),
                InjectedValue::Model => binding.model.clone(),
            };
            env.extend(value.map(|value| plain(&variable.name, &value)));
        }
    }
    env.extend(object.spec.env.iter().map(|written| EnvVar {
        name: written.name.clone(),
        value: written.value.as_deref().map(literally),
        value_from: source(written),
    }));
    env
}

fn source(written: &Written) -> Option<EnvVarSource> {
    let secret = written.secret_key_ref.as_ref();
    let config_map = written.config_map_key_ref.as_ref();
    (secret.is_some() || config_map.is_some()).then(|| EnvVarSource {
        secret_key_ref: secret.map(|of| SecretKeySelector {
            name: of.name.clone(),
            key: of.key.clone(),
            optional: None,
        }),
        config_map_key_ref: config_map.map(|of| ConfigMapKeySelector {
            name: of.name.clone(),
            key: of.key.clone(),
            optional: None,
        }),
        ..EnvVarSource::default()
    })
}

fn mounts(object: &McpServer) -> Vec<VolumeMount> {
    let mut mounts = vec![
        pod::mount("bin", "/opt/sealroom", true),
        pod::mount("lease", "/run/sealroom/gate", true),
        pod::mount("socket", "/run/sealroom/runtime", false),
        pod::mount("tmp", "/tmp", false),
    ];
    for (index, files) in object.spec.files.iter().enumerate() {
        mounts.push(pod::mount(
            &format!("files-{index}"),
            &files.mount_path,
            true,
        ));
    }
    for (index, volume) in object.spec.volumes.iter().enumerate() {
        let claim = volume.persistent_volume_claim.as_ref();
        mounts.push(pod::mount(
            &format!("volume-{index}"),
            &volume.mount_path,
            claim.is_some_and(|claim| claim.read_only),
        ));
    }
    mounts
}

/// The volumes of these mounts.
#[must_use]
pub fn volumes(object: &McpServer) -> Vec<Volume> {
    let mut volumes = vec![
        pod::scratch("bin", "64Mi"),
        pod::scratch("lease", "1Mi"),
        pod::scratch("socket", "1Mi"),
        pod::scratch("tmp", "256Mi"),
    ];
    for (index, files) in object.spec.files.iter().enumerate() {
        volumes.push(Volume {
            name: format!("files-{index}"),
            secret: files.secret_ref.as_ref().map(|of| SecretVolumeSource {
                secret_name: Some(of.name.clone()),
                ..SecretVolumeSource::default()
            }),
            config_map: files
                .config_map_ref
                .as_ref()
                .map(|of| ConfigMapVolumeSource {
                    name: of.name.clone(),
                    ..ConfigMapVolumeSource::default()
                }),
            ..Volume::default()
        });
    }
    for (index, volume) in object.spec.volumes.iter().enumerate() {
        let name = format!("volume-{index}");
        let scratch = volume.scratch.as_ref();
        let claim = volume.persistent_volume_claim.as_ref();
        volumes.extend(scratch.map(|scratch| pod::scratch(&name, &scratch.size.0)));
        volumes.extend(claim.map(|claim| Volume {
            name: name.clone(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim.claim_name.clone(),
                read_only: claim.read_only.then_some(true),
            }),
            ..Volume::default()
        }));
    }
    volumes
}
