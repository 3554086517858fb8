//! The runtime's container: launch, and the engine as its child.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, Probe, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::deployment::Inputs;
use super::gate::{LEASE_SOCKET, RUNTIME_SOCKET, probe};
use crate::api::ModelDeployment;
use crate::api::model_deployment::{Engine, Resources};
use crate::controller::difference::quantity;
use crate::controller::pod;
use crate::engine::Settings;

/// Where the claim is mounted.
pub const MODELS: &str = "/models";
/// Where the engine's store is mounted.
pub const STORE: &str = "/run/sealroom/store";

/// What the engine is started with.
#[must_use]
pub fn settings(object: &ModelDeployment, inputs: &Inputs<'_>) -> Settings {
    let model = inputs.model;
    let (llama_cpp, ollama) = (&model.llama_cpp, &model.ollama);
    let (context, parallel, given) = match model.engine {
        Engine::LlamaCpp => (
            llama_cpp.context_length,
            llama_cpp.parallel,
            llama_cpp.threads,
        ),
        Engine::Ollama => (ollama.context_length, ollama.parallel, ollama.threads),
    };
    let (cache_k, cache_v) = model.kv_types();
    Settings {
        model: format!("{MODELS}/{}", inputs.entry),
        name: model.served_name.clone(),
        socket: RUNTIME_SOCKET.to_owned(),
        context,
        parallel,
        threads: given.unwrap_or_else(|| threads(&object.spec.resources)),
        cache_k,
        cache_v,
        template: ollama.template.clone(),
        stop: ollama.stop.clone(),
    }
}

/// The container.
#[must_use]
pub fn build(object: &ModelDeployment, inputs: &Inputs<'_>) -> Container {
    let engine = inputs.model.engine.particulars();
    let settings = settings(object, inputs);
    let env: Vec<EnvVar> = engine
        .environment(&settings)
        .into_iter()
        .map(|(name, value)| EnvVar {
            name: name.to_owned(),
            value: Some(value),
            value_from: None,
        })
        .collect();
    let mut mounts = vec![
        pod::mount("models", MODELS, true),
        pod::mount("bin", "/opt/sealroom", true),
        pod::mount("lease", "/run/sealroom/gate", true),
        pod::mount("socket", "/run/sealroom/runtime", false),
        pod::mount("tmp", "/tmp", false),
    ];
    if engine.has_store() {
        mounts.push(pod::mount("store", STORE, true));
    }
    Container {
        name: "runtime".to_owned(),
        image: Some(inputs.model.runtime_image.clone()),
        command: Some(command(object, inputs, &settings)),
        env: (!env.is_empty()).then_some(env),
        // The gate knows whether the engine hangs; nothing listens in this container.
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            failure_threshold: Some(3),
            ..probe("/runtimez")
        }),
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
    if engine.particulars().has_store() {
        flag("store", STORE);
    }
    // Such a build exists for packet tests alone, which measure the network lock without the other.
    if cfg!(feature = "kernel-lock-off") {
        command.push("--no-kernel-lock".to_owned());
    }
    command.push("--".to_owned());
    command.extend(engine.particulars().command(settings));
    command
}

/// As many threads as the container has CPUs, 2 where nothing says.
fn threads(resources: &Resources) -> u32 {
    let cpu = resources
        .limits
        .get("cpu")
        .or_else(|| resources.requests.get("cpu"));
    cpu.and_then(|cpu| quantity(&cpu.0))
        .and_then(|thousandths| u32::try_from(thousandths).ok())
        .map_or(2, |thousandths| thousandths.div_ceil(1_000).clamp(1, 512))
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
    let some = |map: BTreeMap<String, Quantity>| (!map.is_empty()).then_some(map);
    ResourceRequirements {
        requests: some(requests),
        limits: some(limits),
        claims: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Resources {
        let map = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), Quantity((*value).to_owned())))
                .collect()
        };
        Resources {
            requests: map(requests),
            limits: map(limits),
        }
    }

    #[rstest::rstest]
    #[case::nothing_asked(&[], &[], "100Mi", "100Mi")]
    #[case::request_below(&[("memory", "50Mi")], &[], "50Mi", "100Mi")]
    #[case::request_above(&[("memory", "1Gi")], &[], "1Gi", "1Gi")]
    #[case::limit(&[], &[("memory", "2Gi")], "2Gi", "2Gi")]
    #[case::both(&[("memory", "1Gi")], &[("memory", "2Gi")], "1Gi", "2Gi")]
    fn memory_that_is_missing_is_computed(
        #[case] requests: &[(&str, &str)],
        #[case] limits: &[(&str, &str)],
        #[case] request: &str,
        #[case] limit: &str,
    ) {
        let built = resources(&asked(requests, limits), Some(100 << 20));
        assert_eq!(built.requests.unwrap()["memory"].0, request);
        assert_eq!(built.limits.unwrap()["memory"].0, limit);
    }

    #[rstest::rstest]
    #[case::default(&[], &[], 2)]
    #[case::limit(&[("cpu", "1")], &[("cpu", "3500m")], 4)]
    #[case::request(&[("cpu", "250m")], &[], 1)]
    fn threads_follow_the_cpu(
        #[case] requests: &[(&str, &str)],
        #[case] limits: &[(&str, &str)],
        #[case] expected: u32,
    ) {
        assert_eq!(threads(&asked(requests, limits)), expected);
    }
}
