//! What a pod is asked to probe, and what it found.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::kube::wait;
use crate::suite::sockets::dialled;
use crate::suite::stage::{Served, Stage};
use crate::world::name_of;

/// The operator's canaries.
const CANARIES: &str =
    "/api/v1/namespaces/sealroom-system/pods?labelSelector=app.kubernetes.io/component%3Dcanary";
/// Where metadata are served.
const METADATA: u16 = 80;
/// Each family over each transport.
const IPV4: [&str; 2] = ["tcp4", "udp4"];
const IPV6: [&str; 2] = ["tcp6", "udp6"];

pub(super) async fn blocked(stage: &Stage) -> Result<()> {
    let model = stage.assistant().await?;
    // On a busy machine a control may miss its round.
    let tripwires = wait(Duration::from_secs(60), "every probe blocked", async || {
        probed(stage, &model).await.map(Some)
    });
    // They have no control of their own: that somebody answers there is seen from a pod beside the model that is not
    // sealed. Beside a cluster of others there need not be anybody at the addresses of metadata.
    let beside = stage.cluster().outside(&["true"]).await.is_ok();
    let mut to = tripwires.await?;
    to.retain(|to| beside || to.port() != METADATA);
    for attempt in dialled(stage, (&model.client, "client"), "tcp", &to).await? {
        ensure!(attempt.reached, "expected an answer, got {attempt:?}");
    }
    Ok(())
}

/// What the gate tells of its last round: every target was blocked. Gives those that have no control.
async fn probed(stage: &Stage, model: &Served) -> Result<Vec<SocketAddr>> {
    let (world, ns) = (&stage.world, model.namespace.as_str());
    let pods = world.pods(ns, &model.name).await?;
    let pod = pods.first().context("failed to find a pod")?;
    let report = world.pod_json(ns, name_of(pod), 8081, "/sealz").await?;
    ensure!(
        report["state"] == "proven" && report["closure"] == "equal",
        "expected a proof, got {report}"
    );
    let targets = report["targets"].as_array().cloned().unwrap_or_default();
    for target in &targets {
        let required = target["required"] == true;
        let control = if required { "ok" } else { "none" };
        ensure!(
            target["verdict"] == "blocked" && target["control"] == control,
            "expected it to be blocked and its control to be {control}, got {target}"
        );
    }
    let canaries = world.list(CANARIES).await?;
    let bed = matches!(stage.cluster(), Cluster::Bed(_));
    for (name, required) in expected(pod, &canaries, bed) {
        let is = |target: &Value| target["name"] == name && target["required"] == required;
        ensure!(
            targets.iter().any(is),
            "expected {name} with required {required}, got {report}"
        );
    }
    let tripwires = targets.iter().filter(|target| target["required"] != true);
    let addresses = tripwires.filter_map(|target| target["addr"].as_str());
    let addresses = addresses.map(str::parse::<SocketAddr>);
    let addresses: Result<Vec<_>, _> = addresses.collect();
    addresses.context("failed to read an address")
}

/// The names of what a pod is asked to probe, and whether each is required.
///
/// On the bed pods, nodes and Services have both families, and only the API server's Service has IPv4 alone: where IPv6
/// vanishes there, that is a failure, and no reason to expect less. On another cluster the pod's own addresses say
/// whether canaries have it.
fn expected(pod: &Value, canaries: &[Value], bed: bool) -> Vec<(String, bool)> {
    let own = |canary: &&Value| canary["spec"]["nodeName"] == pod["spec"]["nodeName"];
    let own = canaries.iter().filter(own).count();
    let mut of_canaries: Vec<&str> = vec![];
    of_canaries.extend((own > 0).then_some("canary/own-node"));
    of_canaries.extend((own < canaries.len()).then_some("canary/other-node"));
    let of_services = ["canary-service", "dns"];

    let mut required = vec!["api-server/tcp4".to_owned()];
    let mut require = |targets: &[&str], family: [&str; 2]| {
        for target in targets {
            required.extend(family.map(|over| format!("{target}/{over}")));
        }
    };
    require(&of_canaries, IPV4);
    require(&of_services, IPV4);
    if bed || has_ipv6(pod) {
        require(&of_canaries, IPV6);
    }
    if bed {
        require(&of_services, IPV6);
    }
    let mut tripwires = vec!["metadata/tcp4", "metadata/tcp6", "own-node/tcp4"];
    tripwires.extend(bed.then_some("own-node/tcp6"));
    let tripwires = tripwires.into_iter().map(|name| (name.to_owned(), false));
    let required = required.into_iter().map(|name| (name, true));
    required.chain(tripwires).collect()
}

fn has_ipv6(pod: &Value) -> bool {
    let addresses = pod["status"]["podIPs"].as_array().into_iter().flatten();
    let mut addresses = addresses.filter_map(|address| address["ip"].as_str());
    addresses.any(|address| address.contains(':'))
}
