//! The gate, and the container that copies our binary to the runtime.

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;

use super::deployment::Inputs;
use super::runtime::{self, STORE};
use crate::api::ModelDeployment;
use crate::controller::pod;
use crate::controller::serving::access;
use crate::controller::serving::gate::{self, literally};
use crate::gate::{bodies, queue, room, streams};

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
        &memory(object, inputs.model.tuning.requests),
    )
}

/// What the gate may hold at most when all clients do their worst at once, as a limit: the sizes of its buffers, which
/// `docs/operations.md` lists, in steps of 64 MiB and at least 256.
fn memory(object: &ModelDeployment, requests: u32) -> String {
    let limits = &object.spec.limits;
    let queue = queue::Config {
        concurrent: requests as usize,
        queued: limits.queued_requests as usize,
        patience: Duration::ZERO,
    };
    let tls = object.spec.access.tls.is_some();
    // As many streams as connections, and who never acknowledges a smaller window has the first one.
    let connection = streams::STREAM_WINDOW as usize / 1024 + if tls { 48 + 80 } else { 48 };
    let kib = 16 * 1024 // the program itself
        + (bodies::BUDGET_BYTES + room::ANSWERS) / 1024
        + requests as usize * (32 + 8)
        + queue.connections() * connection;
    let mib = kib.div_ceil(64 * 1024) * 64;
    format!("{}Mi", mib.max(256))
}

fn arguments(object: &ModelDeployment, inputs: &Inputs<'_>) -> Vec<String> {
    let spec = &object.spec;
    let mut flags = gate::flags();
    flags.set("engine", spec.runtime.engine.as_str());
    let models = &inputs.model.models;
    flags.set("model", &models.first.name);
    if !models.first.task.mode.is_default() {
        flags.set("mode", models.first.task.mode.as_str());
    }
    flags.set("digest", models.first.image.digest());
    for also in &models.further {
        let (name, digest, mode) = (&also.name, also.image.digest(), also.task.mode.as_str());
        flags.set("also", format!("name={name},digest={digest},mode={mode}"));
    }
    gate::seal_flags(
        &mut flags,
        &spec.seal,
        &inputs.config.seal,
        spec.drain_seconds,
    );
    let limits = &spec.limits;
    flags.set("max-concurrent", inputs.model.tuning.requests);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[rstest::rstest]
    #[case::default(2, json!({}), json!({}), "256Mi")]
    #[case::many(256, json!({"queuedRequests": 512}), json!({}), "320Mi")]
    #[case::many_over_tls(256, json!({"queuedRequests": 512}), json!({"tls": {"secretRef": {"name": "t"}}}), "448Mi")]
    #[case::most(1024, json!({"queuedRequests": 512}), json!({"tls": {"secretRef": {"name": "t"}}}), "768Mi")]
    fn the_limit_follows_what_clients_can_make_it_hold(
        #[case] requests: u32,
        #[case] limits: serde_json::Value,
        #[case] access: serde_json::Value,
        #[case] limit: &str,
    ) {
        let image = format!("registry.example/m@sha256:{}", "0".repeat(64));
        let object = json!({
            "apiVersion": "sealroom.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "m"},
            "spec": {"model": {"image": image}, "runtime": {"engine": "LlamaCpp"}, "limits": limits, "access": access},
        });
        let object: ModelDeployment = serde_json::from_value(object).unwrap();
        assert_eq!(memory(&object, requests), limit);
    }
}
