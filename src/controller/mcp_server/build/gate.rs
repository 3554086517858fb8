//! The gate, and the container that copies our binary to the server.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, KeyToPath, SecretVolumeSource, Volume, VolumeMount,
};

use super::super::bind::Binding;
use super::super::target::Target;
use super::super::way::Way;
use super::deployment::Inputs;
use super::service;
use crate::api::McpServer;
use crate::api::mcp_server::{KeyRef, TransportType};
use crate::controller::pod;
use crate::controller::serving::access;
use crate::controller::serving::gate::{self, Flags};

const MODEL_KEYS: &str = "/etc/sealroom/model-keys";
const MODEL_CA: &str = "/etc/sealroom/model-ca";

/// Copies the binary into the volume from which the server's container starts it.
#[must_use]
pub fn copy(inputs: &Inputs<'_>) -> Container {
    let args = ["bridge", "--install", "/opt/sealroom"].map(str::to_owned);
    let mounts = vec![pod::mount("bin", "/opt/sealroom", false)];
    gate::copy(inputs.config, args.into(), mounts)
}

/// The native sidecar that is the pod's only listener.
#[must_use]
pub fn build(object: &McpServer, inputs: &Inputs<'_>) -> Container {
    gate::container(
        inputs.config,
        inputs.verify_keys,
        &object.spec.access,
        arguments(object, inputs),
        mounts(inputs.bindings),
        "256Mi",
    )
}

fn arguments(object: &McpServer, inputs: &Inputs<'_>) -> Vec<String> {
    let spec = &object.spec;
    let mut flags = gate::flags();
    match (spec.transport.transport_type, &spec.transport.http) {
        (TransportType::Http, Some(http)) => {
            flags.set("mcp", "Http");
            flags.set("mcp-port", http.port);
            flags.set("mcp-path", &http.path);
        }
        _ => {
            let isolation = &spec.isolation;
            flags.set("mcp", "Stdio");
            flags.set("mcp-isolation", isolation.isolation_type.as_str());
            flags.set("mcp-max-children", isolation.max_children);
        }
    }
    flags.set("mcp-idle-seconds", spec.isolation.idle_seconds);
    for host in service::names(object).iter().chain(&spec.hosts) {
        flags.set("mcp-host", host);
    }
    for origin in &spec.origins {
        flags.set("mcp-origin", origin);
    }
    flags.set("mcp-tools", spec.tools.policy.as_str());
    for tool in &spec.tools.allow {
        flags.set("mcp-tool", tool);
    }
    if let Some(pin) = &spec.tools.pin {
        flags.set("mcp-pin", pin);
    }
    for (index, binding) in inputs.bindings.iter().enumerate() {
        if let Ok(way) = &binding.way {
            model(&mut flags, index, binding, way);
        }
    }
    gate::seal_flags(
        &mut flags,
        &spec.seal,
        &inputs.config.seal,
        spec.drain_seconds,
    );
    flags.set("max-concurrent", spec.limits.concurrent_requests);
    flags.set("max-body-bytes", spec.limits.body_bytes);
    flags.set("answer-seconds", spec.limits.call_seconds);
    if let Some(budget) = &spec.limits.per_caller {
        flags.set("requests-per-minute", budget.requests_per_minute);
    }
    access::flags(&mut flags, &spec.access);
    if !inputs.server.sealed {
        flags.on("unsealed");
    }
    flags.into_words()
}

/// Where the gate offers a model, where that is, and what it adds.
fn model(flags: &mut Flags, index: usize, binding: &Binding, way: &Way) {
    let (Target::Deployment { name, .. } | Target::Service { name, .. }) = &binding.target;
    let mut words = format!("name={name},port={},url={}", binding.port, way.url);
    if let Some(host) = &way.tls_name {
        words.push_str(&format!(",host={host},ca={}", file(MODEL_CA, index)));
    }
    if binding.key.is_some() {
        words.push_str(&format!(",key={}", file(MODEL_KEYS, index)));
    }
    if matches!(binding.target, Target::Service { .. }) {
        words.push_str(",watch=connect");
    }
    flags.set("mcp-model", words);
}

/// The one file of a mounted entry.
fn file(dir: &str, index: usize) -> String {
    format!("{dir}/{index}/{ENTRY}")
}

const ENTRY: &str = "value";

fn mounts(bindings: &[Binding]) -> Vec<VolumeMount> {
    let mut mounts = Vec::new();
    for (index, binding) in bindings.iter().enumerate() {
        for (name, dir, there) in [
            ("model-key", MODEL_KEYS, binding.key.is_some()),
            ("model-ca", MODEL_CA, binding.ca.is_some()),
        ] {
            if there {
                mounts.push(pod::mount(
                    &format!("{name}-{index}"),
                    &format!("{dir}/{index}"),
                    true,
                ));
            }
        }
    }
    mounts
}

/// The volumes of these mounts. They may come later: the gate says what is missing.
#[must_use]
pub fn volumes(bindings: &[Binding]) -> Vec<Volume> {
    let mut volumes = Vec::new();
    for (index, binding) in bindings.iter().enumerate() {
        if let Some(key) = &binding.key {
            volumes.push(Volume {
                name: format!("model-key-{index}"),
                secret: Some(SecretVolumeSource {
                    secret_name: Some(key.name.clone()),
                    items: Some(entry(key)),
                    optional: Some(true),
                    ..SecretVolumeSource::default()
                }),
                ..Volume::default()
            });
        }
        if let Some(ca) = &binding.ca {
            volumes.push(Volume {
                name: format!("model-ca-{index}"),
                config_map: Some(ConfigMapVolumeSource {
                    name: ca.name.clone(),
                    items: Some(entry(ca)),
                    optional: Some(true),
                    ..ConfigMapVolumeSource::default()
                }),
                ..Volume::default()
            });
        }
    }
    volumes
}

fn entry(of: &KeyRef) -> Vec<KeyToPath> {
    vec![KeyToPath {
        key: of.key.clone(),
        path: ENTRY.to_owned(),
        mode: None,
    }]
}
