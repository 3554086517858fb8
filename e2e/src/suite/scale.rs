//! More pods and fewer, by hand and by what the gates count: real Prometheus, prometheus-adapter and
//! HorizontalPodAutoscaler, with the configurations of examples/autoscaling.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::fixtures::Model;
use super::load::{Load, client, stream};
use super::rollout::complete;
use super::stage::Served;
use super::{Case, Needs, Stage};
use crate::install::{MONITORING, metrics};
use crate::kube::wait;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "scale/by_hand_and_by_the_gates_metrics",
        needs: Needs::BothLocks,
        run: |s| Box::pin(scales(s)),
    }]
}

/// Where the examples live.
const NS: &str = "team-a";
const NAME: &str = "assistant";
const CONFIGURATIONS: [&str; 2] = [
    include_str!("../../../examples/autoscaling/10-prometheus.yaml"),
    include_str!("../../../examples/autoscaling/20-adapter.yaml"),
];
const AUTOSCALER: &str = include_str!("../../../examples/autoscaling/30-hpa.yaml");
const METRICS: &str = include_str!("../../manifests/metrics.yaml");
const METRICS_API: &str = include_str!("../../manifests/metrics-api.yaml");
/// From the first request to the second pod that serves, beside other tests.
const SCALED: Duration = Duration::from_secs(150);
/// The quiet minutes that the example waits before it takes a pod away, and none.
const WAITS: [&str; 2] = [
    "stabilizationWindowSeconds: 300",
    "stabilizationWindowSeconds: 0",
];
/// Twice as many at once as the example lets a pod have.
const BUSY: [&str; 2] = ["--kept", "4"];
/// No more than one pod may have, over a connection that is kept and over new ones.
const QUIET: [&str; 6] = ["--kept", "1", "--new", "1", "--pause-ms", "500"];

async fn scales(stage: &Stage) -> Result<()> {
    let (room, metrics) = (stage.room(NS).await?, stage.room(MONITORING).await?);
    let done = inside(stage).await;
    if done.is_err() {
        explain(stage).await;
    }
    // Without its answer no namespace would go: the API server asks it what is left in one.
    let gone = [
        "delete",
        "apiservice",
        "--ignore-not-found",
        "v1beta1.custom.metrics.k8s.io",
    ];
    stage.world.kubectl(&gone).await?;
    let rights = "clusterrole/e2e-metrics clusterrolebinding/e2e-metrics clusterrolebinding/e2e-metrics-delegator";
    let mut delete = vec!["delete", "--ignore-not-found"];
    delete.extend(rights.split(' '));
    stage.world.kubectl(&delete).await?;
    let role = [
        "delete",
        "--ignore-not-found",
        "-n",
        "kube-system",
        "rolebinding/e2e-metrics",
    ];
    stage.world.kubectl(&role).await?;
    let (room, metrics) = tokio::join!(room.leave(), metrics.leave());
    room.and(metrics)?;
    done
}

async fn inside(stage: &Stage) -> Result<()> {
    let world = &stage.world;
    let model = Model::new(NS, NAME, stage.artifact());
    world.apply(&model.yaml()).await?;
    let (chain, client) = tokio::join!(chain(stage), client(stage, NS));
    chain.context("failed to bring Prometheus and its adapter up")?;
    client?;
    let served = Served::of(NS, NAME);
    serving(stage, &served, 1).await?;

    let busy = Load::start(stage, &served, &stream(NAME, 60), &BUSY)?;
    world.apply(&autoscaler()?).await?;
    let grown = serving(stage, &served, 2).await;
    let grown = grown.context("failed to see the autoscaler add a pod");
    // Most of the load ends, and a pod goes while the rest is asking.
    let quiet = Load::start(stage, &served, &stream(NAME, 60), &QUIET)?;
    let busy = busy.end().await?;
    let begun = Instant::now();
    let shrunk = serving(stage, &served, 1).await;
    let shrunk = shrunk.context("failed to see the autoscaler take a pod away");
    let took = begun.elapsed().as_secs();
    if grown.is_err() || shrunk.is_err() {
        explain(stage).await;
    }
    let quiet = quiet.end().await?;
    grown.and(shrunk)?;
    println!(
        "e2e note   2 pods by the autoscaler under {} streams, and 1 pod {took} s after most of the load, under {}",
        busy.complete, quiet.complete
    );
    complete(&busy)?;
    complete(&quiet)?;
    ensure!(
        busy.complete > 0 && quiet.complete > 0,
        "expected a load, got {busy:?} and {quiet:?}"
    );
    // By hand, when nobody else decides.
    let kubectl = ["delete", "horizontalpodautoscaler", "-n", NS, NAME];
    world.kubectl(&kubectl).await?;
    let more = ["scale", "-n", NS, "modeldeployment", NAME, "--replicas=2"];
    world.kubectl(&more).await?;
    let grown = serving(stage, &served, 2).await;
    grown.context("failed to see kubectl scale add a pod")
}

/// The example's, which takes a pod away at once.
fn autoscaler() -> Result<String> {
    let [example, ours] = WAITS;
    ensure!(
        AUTOSCALER.contains(example),
        "expected {example} in {AUTOSCALER}"
    );
    Ok(AUTOSCALER.replace(example, ours))
}

/// Prometheus, the adapter, and the API by which the autoscaler asks it.
async fn chain(stage: &Stage) -> Result<()> {
    let world = &stage.world;
    let [prometheus, adapter] = metrics(stage.cluster()).await?;
    for configuration in CONFIGURATIONS {
        world.apply(configuration).await?;
    }
    let manifests = METRICS
        .replace("@PROMETHEUS@", &prometheus)
        .replace("@ADAPTER@", &adapter);
    world.apply(&manifests).await?;
    for deployment in ["prometheus", "adapter"] {
        world.rolled_out(MONITORING, deployment).await?;
    }
    world.apply(METRICS_API).await?;
    Ok(())
}

/// Waits until so many pods serve and no other is there.
async fn serving(stage: &Stage, model: &Served, replicas: usize) -> Result<()> {
    wait(SCALED, "as many pods as asked for", async || {
        let object = stage.object(model).await?;
        let ready = object["status"]["readyReplicas"].as_u64().unwrap_or(0);
        let asked = object["spec"]["replicas"].as_u64();
        let pods = stage.world.pods(NS, NAME).await?.len();
        let all = [Some(ready), asked, Some(pods as u64)];
        Ok((all == [Some(replicas as u64); 3]).then_some(()))
    })
    .await
}

/// What the chain says, for the reader of a failed test.
async fn explain(stage: &Stage) {
    let path =
        "/apis/custom.metrics.k8s.io/v1beta1/namespaces/team-a/pods/*/sealroom_gate_in_flight";
    for arguments in [
        &["describe", "hpa", "-n", NS][..],
        &["get", "--raw", path],
        &[
            "get",
            "apiservice",
            "v1beta1.custom.metrics.k8s.io",
            "-o",
            "yaml",
        ],
        &["logs", "-n", MONITORING, "deployment/adapter", "--tail=20"],
        &[
            "logs",
            "-n",
            MONITORING,
            "deployment/prometheus",
            "--tail=10",
        ],
    ] {
        match stage.world.kubectl(arguments).await {
            Ok(output) => println!("{}", output.stdout),
            Err(error) => println!("{error}"),
        }
    }
}
