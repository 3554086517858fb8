//! The runtime's container: launch, and llama-server as its child.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Probe, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::deployment::Inputs;
use super::gate::{LEASE_SOCKET, RUNTIME_SOCKET, probe};
use crate::api::ModelDeployment;
use crate::api::model_deployment::{KvCacheType, Resources};
use crate::controller::difference::quantity;
use crate::controller::pod;
use crate::gguf::memory::CHECKPOINTS;

/// The container.
#[must_use]
pub fn build(object: &ModelDeployment, inputs: &Inputs<'_>) -> Container {
    Container {
        name: "runtime".to_owned(),
        image: Some(inputs.model.runtime_image.clone()),
        command: Some(command(object, inputs)),
        // The gate knows whether the engine hangs; nothing listens in this container.
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            failure_threshold: Some(3),
            ..probe("/runtimez")
        }),
        resources: Some(resources(&object.spec.resources, inputs.memory)),
        security_context: Some(pod::restricted()),
        volume_mounts: Some(vec![
            pod::mount("models", "/models", true),
            pod::mount("bin", "/opt/sealroom", true),
            pod::mount("lease", "/run/sealroom/gate", true),
            pod::mount("socket", "/run/sealroom/runtime", false),
            pod::mount("tmp", "/tmp", false),
        ]),
        ..Container::default()
    }
}

fn command(object: &ModelDeployment, inputs: &Inputs<'_>) -> Vec<String> {
    let settings = &inputs.model.llama_cpp;
    let mut command = vec!["/opt/sealroom/sealroom".to_owned(), "launch".to_owned()];
    let mut flag = |name: &str, value: &str| command.push(format!("--{name}={value}"));
    flag("lease-socket", LEASE_SOCKET);
    flag("runtime-socket", RUNTIME_SOCKET);
    flag("engine", object.spec.runtime.engine.as_str());
    flag("drain-seconds", &object.spec.drain_seconds.to_string());
    // Such a build exists for packet tests alone, which measure the network lock without the other.
    if cfg!(feature = "kernel-lock-off") {
        command.push("--no-kernel-lock".to_owned());
    }
    let model = format!("/models/{}", inputs.entry);
    let context = settings.context_length.to_string();
    let parallel = settings.parallel.to_string();
    let threads = settings
        .threads
        .unwrap_or_else(|| threads(&object.spec.resources))
        .to_string();
    let checkpoints = CHECKPOINTS.to_string();
    let engine = [
        "--",
        "/usr/bin/llama-server",
        "-m",
        &model,
        "--host",
        RUNTIME_SOCKET,
        // Without it some builds refuse to start; nothing listens there.
        "--port",
        "8080",
        "--offline",
        "--no-ui",
        "--no-slots",
        "--metrics",
        "--alias",
        &inputs.model.served_name,
        "-c",
        &context,
        "-np",
        &parallel,
        "-t",
        &threads,
        // The default is a prompt cache of 8 GiB.
        "--cache-ram",
        "0",
        // The default is 32 a slot, which of windows and states are gigabytes.
        "--ctx-checkpoints",
        &checkpoints,
    ];
    command.extend(engine.map(str::to_owned));
    for (name, kind) in [
        ("--cache-type-k", settings.cache_type_k),
        ("--cache-type-v", settings.cache_type_v),
    ] {
        if kind != KvCacheType::default() {
            command.extend([name.to_owned(), kind.flag().to_owned()]);
        }
    }
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
