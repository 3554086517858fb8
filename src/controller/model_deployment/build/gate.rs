//! The gate, and the container that copies our binary to the runtime.

use k8s_openapi::api::core::v1::Container;

use super::deployment::Inputs;
use super::runtime::{self, STORE};
use crate::api::ModelDeployment;
use crate::api::model_deployment::Mode;
use crate::controller::pod;
use crate::controller::serving::access;
use crate::controller::serving::gate::{self, literally};

/// Copies the binary into the volume from which the runtime's container starts it, and lays the engine's store out,
/// which that container cannot write.
#[must_use]
pub fn copy(inputs: &Inputs<'_>) -> Container {
    let engine = inputs.model.engine;
    let mut args = ["launch", "--install", "/opt/sealroom"]
        .map(str::to_owned)
        .to_vec();
    let mut mounts = vec![pod::mount("bin", "/opt/sealroom", false)];
    let settings = runtime::settings(inputs);
    if engine.particulars().has_store(&settings.first) {
        args.push(format!("--engine={}", engine.as_str()));
        args.push(format!("--lay-out={STORE}"));
        for model in settings.iter() {
            let model = serde_json::to_string(model).unwrap_or_default();
            args.push(format!("--settings={}", literally(&model)));
        }
        mounts.extend(runtime::mounts(inputs));
        mounts.push(pod::mount("store", STORE, false));
    }
    gate::copy(inputs.config, args, mounts)
}

/// The native sidecar that is the pod's only listener.
#[must_use]
pub fn build(object: &ModelDeployment, inputs: &Inputs<'_>) -> Container {
    gate::container(
        inputs.config,
        inputs.verify_keys,
        &object.spec.access,
        arguments(object, inputs),
        Vec::new(),
    )
}

fn arguments(object: &ModelDeployment, inputs: &Inputs<'_>) -> Vec<String> {
    let spec = &object.spec;
    let mut flags = gate::flags();
    flags.set("engine", spec.runtime.engine.as_str());
    let models = &inputs.model.models;
    flags.set("model", &models.first.name);
    if models.first.mode != Mode::default() {
        flags.set("mode", models.first.mode.as_str());
    }
    flags.set("digest", models.first.image.digest());
    for also in &models.further {
        let (name, digest, mode) = (&also.name, also.image.digest(), also.mode.as_str());
        flags.set("also", format!("name={name},digest={digest},mode={mode}"));
    }
    gate::seal_flags(
        &mut flags,
        &spec.seal,
        &inputs.config.seal,
        spec.drain_seconds,
    );
    let limits = &spec.limits;
    let tuning = &inputs.model.tuning;
    let parallel = tuning.parallel.saturating_mul(tuning.loaded());
    flags.set("max-concurrent", limits.concurrent(parallel));
    flags.set("max-queued", limits.queued_requests);
    flags.set("queue-seconds", limits.queue_seconds);
    flags.set("max-body-bytes", limits.body_bytes);
    if let Some(budgets) = &limits.per_caller {
        let all = [
            ("requests-per-minute", budgets.requests_per_minute),
            ("tokens-per-minute", budgets.tokens_per_minute),
            ("tokens-per-day", budgets.tokens_per_day),
        ];
        for (name, budget) in all {
            if let Some(budget) = budget {
                flags.set(name, budget);
            }
        }
    }
    access::flags(&mut flags, &spec.access);
    if !inputs.model.sealed {
        flags.on("unsealed");
    }
    flags.into_words()
}
