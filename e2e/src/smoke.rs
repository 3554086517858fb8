//! Checks the cluster itself, before anything is tested on it: a restricted pod runs from an image by digest,
//! its volume can be written, and a policy shuts it in exactly where somebody enforces policies.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    cluster::{Cluster, Cni, Environment, Shape, cache},
    dial::Attempt,
    images::Image,
    kube::{apply, pull_secret, wait},
    outside,
    progress::Stage,
    registry::Registry,
};

/// Where the pods run.
const NAMESPACE: &str = "bed-smoke";
/// The outside host over both families.
const OUTSIDE: [&str; 2] = ["172.31.9.10:9000", "[fd31:9::10]:9000"];

/// What a pod did and what was seen of it outside.
#[derive(Debug)]
struct Outcome {
    /// How many of the pairs of protocol and address it reached at least once.
    reached: usize,
    pairs: usize,
    packets: u64,
}

/// Runs the check on a running bed and removes what it made.
///
/// # Errors
/// When the cluster does not behave as its shape says.
pub async fn run(shape: &Shape) -> Result<()> {
    let cluster = Cluster::new(shape)?;
    let environment = cluster.environment()?;
    let stage = Stage::begin("smoke image");
    let registry = Registry::new(&environment)?;
    registry.wait().await?;
    let program = std::env::current_exe().context("failed to find this program's own path")?;
    let image = registry
        .push_layout("tool", &Image::tool(program).build(&cache()).await?)
        .await?;
    stage.end(&image);

    let stage = Stage::begin("smoke pods");
    let checked = check(&cluster, &environment, &image).await;
    let delete = environment.kubectl([
        "delete",
        "namespace",
        NAMESPACE,
        "--ignore-not-found",
        "--timeout=60s",
    ]);
    let deleted = delete.deadline(Duration::from_secs(90)).run().await;
    let results = checked?;
    deleted.context("failed to remove the pods of the check")?;
    let (free, sealed) = (&results["free"], &results["sealed"]);
    stage.end(&format!(
        "free reached {} of {} ({} packets), sealed {} of {} ({} packets)",
        free.reached, free.pairs, free.packets, sealed.reached, sealed.pairs, sealed.packets
    ));
    // Without the control, a wall between everybody and the outside would look like a seal.
    ensure!(
        free.reached == free.pairs,
        "failed: the free pod did not reach the outside over both families"
    );
    ensure!(
        free.packets > 0,
        "failed: packets of the free pod were not attributed to it"
    );
    match shape.cni {
        Cni::Cilium => {
            ensure!(
                sealed.reached == 0 && sealed.packets == 0,
                "failed: the policy did not shut the sealed pod in"
            );
        }
        Cni::Ptp => ensure!(
            sealed.reached == sealed.pairs,
            "failed: somebody enforces policies on ptp"
        ),
    }
    Ok(())
}

async fn check(
    cluster: &Cluster,
    environment: &Environment,
    image: &str,
) -> Result<BTreeMap<&'static str, Outcome>> {
    apply(environment, include_str!("../manifests/smoke.yaml")).await?;
    pull_secret(environment, NAMESPACE, "registry").await?;
    // A policy needs a moment before the first pod that it is to hold.
    tokio::time::sleep(Duration::from_secs(1)).await;
    outside::reset(cluster).await?;
    let pods: String = ["free", "sealed"]
        .iter()
        .map(|name| pod(name, image))
        .collect();
    apply(environment, &pods).await?;
    let mut results = BTreeMap::new();
    for name in ["free", "sealed"] {
        let phase = async || {
            let path = "jsonpath={.status.phase} {.status.podIPs[*].ip}";
            let output = environment
                .kubectl(["-n", NAMESPACE, "get", "pod", name, "-o", path])
                .run()
                .await?;
            match output.stdout.split_once(' ') {
                Some(("Succeeded", addresses)) => Ok(Some(addresses.to_owned())),
                Some(("Failed", _)) => bail!("failed: the pod {name} ended with an error"),
                _ => Ok(None),
            }
        };
        let addresses = wait(
            Duration::from_secs(60),
            &format!("the end of the pod {name}"),
            phase,
        )
        .await;
        if addresses.is_err() {
            let events = environment
                .kubectl(["-n", NAMESPACE, "get", "events,pods,pvc"])
                .run()
                .await?;
            eprintln!("{}", events.stdout);
        }
        let addresses: Vec<IpAddr> = addresses?
            .split_whitespace()
            .filter_map(|a| a.parse().ok())
            .collect();
        ensure!(
            addresses.len() == 2,
            "failed: the pod {name} has the addresses {addresses:?}, not one of each family"
        );
        let log = environment
            .kubectl(["-n", NAMESPACE, "logs", name])
            .run()
            .await?
            .stdout;
        let attempts: Vec<Attempt> = log
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let seen = outside::read(cluster).await?;
        let packets = seen
            .iter()
            .filter(|s| addresses.contains(&s.source))
            .map(|s| s.packets)
            .sum();
        let pair = |a: &Attempt| (format!("{:?}", a.protocol), a.to);
        let pairs: BTreeSet<_> = attempts.iter().map(pair).collect();
        let reached: BTreeSet<_> = attempts.iter().filter(|a| a.reached).map(pair).collect();
        ensure!(
            pairs.len() == 2 * OUTSIDE.len(),
            "failed: the pod {name} tried {pairs:?} only"
        );
        results.insert(
            name,
            Outcome {
                reached: reached.len(),
                pairs: pairs.len(),
                packets,
            },
        );
    }
    Ok(results)
}

/// A pod that dials out over both families and both protocols, and writes to a volume.
fn pod(name: &str, image: &str) -> String {
    let to: String = OUTSIDE.iter().map(|a| format!(", --to, \"{a}\"")).collect();
    include_str!("../manifests/smoke-pod.yaml")
        .replace("@NAME@", name)
        .replace("@IMAGE@", image)
        .replace("@TO@", &to)
}
