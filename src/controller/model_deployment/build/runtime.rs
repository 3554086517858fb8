//! The runtime's container: launch, and the engine as its child.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, ResourceRequirements, VolumeMount};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::super::models::Served;
use super::super::parts::Role;
use super::deployment::{Inputs, Weights};
use crate::api::ModelDeployment;
use crate::api::model_deployment::{Printed, Resources};
use crate::controller::difference::quantity;
use crate::controller::nodes::is_device;
use crate::controller::pod;
use crate::controller::serving::gate::{LEASE_SOCKET, RUNTIME_SOCKET, hangs_probe, literally};
use crate::engine::{Adapter, Settings, Tuning};
use crate::types::AtLeastOne;

/// Where the claim is mounted; of several artifacts each one's below it, by its name.
const MODELS: &str = "/models";
/// Where the engine's store is mounted.
pub const STORE: &str = "/run/sealroom/store";

/// The claims' mounts, in the order of [`Inputs::artifacts`].
#[must_use]
pub fn mounts(inputs: &Inputs<'_>) -> Vec<VolumeMount> {
    let each = inputs.artifacts().into_iter().map(|artifact| {
        let name = match inputs.only() {
            Some(_) => "models".to_owned(),
            None => format!("models-{artifact}"),
        };
        pod::mount(&name, &directory(inputs, artifact), true)
    });
    each.collect()
}

/// Where an artifact's claim is mounted.
fn directory(inputs: &Inputs<'_>, artifact: &str) -> String {
    match inputs.only() {
        Some(_) => MODELS.to_owned(),
        None => format!("{MODELS}/{artifact}"),
    }
}

/// What the engine is started with, and its store laid out from: for each model. What they differ in is the model's own.
#[must_use]
pub fn settings(inputs: &Inputs<'_>) -> AtLeastOne<Settings> {
    let mut weights = inputs.weights.iter();
    inputs.model.models.map(|served| {
        // There are as many as models.
        let weights = weights.next().unwrap_or(&inputs.weights.first);
        settings_of(inputs, served, weights)
    })
}

fn settings_of(inputs: &Inputs<'_>, served: &Served, weights: &Weights) -> Settings {
    let model = inputs.model;
    let file = |of: &Weights| format!("{}/{}", directory(inputs, &of.artifact), of.entry);
    let several = model.models.only().is_none();
    let (mut adapters, mut projector) = (Vec::new(), None);
    for (part, weights) in model.parts.iter().zip(&inputs.parts) {
        let file = file(weights);
        match &part.role {
            Role::Adapter { scale, .. } => adapters.push(Adapter {
                file,
                scale: scale.clone(),
            }),
            Role::Projector => projector = Some(file),
        }
    }
    Settings {
        model: file(weights),
        name: served.name.clone(),
        socket: RUNTIME_SOCKET.to_owned(),
        store: STORE.to_owned(),
        adapters,
        projector,
        task: served.task.clone(),
        tuning: Tuning {
            max_loaded: several.then(|| model.tuning.loaded()),
            ..model.tuning.clone()
        },
    }
}

/// The container.
#[must_use]
pub fn build(object: &ModelDeployment, inputs: &Inputs<'_>) -> Container {
    let engine = inputs.model.engine.particulars();
    let settings = settings(inputs).first;
    let env: Vec<EnvVar> = engine
        .environment(&settings)
        .into_iter()
        .map(|(name, value)| EnvVar {
            name: name.to_owned(),
            value: Some(literally(&value)),
            value_from: None,
        })
        .collect();
    let mut mounts = mounts(inputs);
    mounts.extend([
        pod::mount("bin", "/opt/sealroom", true),
        pod::mount("lease", "/run/sealroom/gate", true),
        pod::mount("socket", "/run/sealroom/runtime", false),
        pod::mount("tmp", "/tmp", false),
    ]);
    if engine.has_store(&settings) {
        mounts.push(pod::mount("store", STORE, true));
    }
    Container {
        name: "runtime".to_owned(),
        image: Some(inputs.model.runtime_image.clone()),
        command: Some(command(object, inputs, &settings)),
        env: (!env.is_empty()).then_some(env),
        liveness_probe: Some(hangs_probe()),
        resources: Some(resources(&object.spec.resources, inputs.memory)),
        security_context: Some(pod::restricted()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn command(object: &ModelDeployment, inputs: &Inputs<'_>, settings: &Settings) -> Vec<String> {
    let engine = inputs.model.engine;
    let mut command = vec!["/opt/sealroom/sealroom".to_owned(), "launch".to_owned()];
    let mut flag = |name: &str, value: &str| command.push(format!("--{name}={value}"));
    flag("lease-socket", LEASE_SOCKET);
    flag("runtime-socket", RUNTIME_SOCKET);
    flag("engine", engine.as_str());
    flag("drain-seconds", &object.spec.drain_seconds.to_string());
    let printed = object.spec.runtime.output;
    if printed != Printed::default() {
        flag("output", printed.as_str());
    }
    if engine.particulars().has_store(settings) {
        flag("store", STORE);
    }
    // Such a build exists for packet tests alone, which measure the network lock without the other.
    if cfg!(feature = "kernel-lock-off") {
        command.push("--no-kernel-lock".to_owned());
    }
    command.push("--".to_owned());
    let program = engine.particulars().command(settings);
    command.extend(program.iter().map(|argument| literally(argument)));
    command
}

/// What the object asks for; memory that it leaves out is what the model needs.
fn resources(asked: &Resources, memory: Option<u64>) -> ResourceRequirements {
    let Resources {
        mut requests,
        mut limits,
    } = asked.clone();
    let computed = memory.map(|bytes| Quantity(format!("{}Mi", bytes.div_ceil(1 << 20))));
    if !requests.contains_key("memory")
        && let Some(memory) = limits.get("memory").or(computed.as_ref()).cloned()
    {
        requests.insert("memory".to_owned(), memory);
    }
    if !limits.contains_key("memory")
        && let Some(computed) = computed
    {
        // Never below the request: the API server would refuse it.
        let asked = requests
            .get("memory")
            .filter(|asked| quantity(&asked.0) > quantity(&computed.0));
        let limit = asked.cloned().unwrap_or(computed);
        limits.insert("memory".to_owned(), limit);
    }
    // A device has one number in both.
    let devices = requests.iter().filter(|(name, _)| is_device(name));
    let devices: Vec<_> = devices.map(|(name, n)| (name.clone(), n.clone())).collect();
    for (name, number) in devices {
        limits.entry(name).or_insert(number);
    }
    let some = |map: BTreeMap<String, Quantity>| (!map.is_empty()).then_some(map);
    ResourceRequirements {
        requests: some(requests),
        limits: some(limits),
        claims: None,
    }
}

#[cfg(test)]
#[path = "runtime_tests.rs"]
mod tests;
