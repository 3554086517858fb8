//! Rollouts under a load of streams.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::clients::Authority;
use super::fixtures::{Model, certificate, random, secret};
use super::load::{Load, client, stream};
use super::stage::Served;
use super::{Case, Needs, Stage};
use crate::objects::Subject;
use crate::tool::{HTTP_1, HTTP_2, Summary};

pub(super) fn cases() -> Vec<Case> {
    let needs = Needs::BothLocks;
    vec![
        Case {
            name: "rollout/three_rollouts_drop_no_request",
            needs,
            run: |s| Box::pin(drop_nothing(s)),
        },
        Case {
            name: "rollout/recreate_cuts_no_stream_and_tells_to_retry",
            needs,
            run: |s| Box::pin(recreate(s)),
        },
    ]
}

/// Beside tests that wait: two pods one after the other, each with its proof.
const ROLLED: Duration = Duration::from_secs(180);
/// Short streams by every way to connect.
const MANY: [&str; 8] = [
    "--kept",
    "2",
    "--new",
    "2",
    "--http2",
    "1",
    "--pause-ms",
    "700",
];
/// Streams that a drain has to wait for.
const LONG: [&str; 4] = ["--kept", "1", "--pause-ms", "100"];
/// One client without a key.
const KEYLESS: [&str; 4] = ["--new", "1", "--pause-ms", "2000"];
/// The Secrets with the model's key and certificate.
const KEYS: &str = "steady-keys";
const CERTIFICATE: &str = "steady-tls";
/// What each rollout changes. Drains are longer than a long stream takes on a busy machine.
const CHANGES: [(&str, u32); 3] = [
    ("/drainSeconds", 91),
    ("/runtime/llamaCpp/contextLength", 1536),
    ("/drainSeconds", 92),
];

async fn drop_nothing(stage: &Stage) -> Result<()> {
    let room = stage.room("rollout").await?;
    let done = under_load(stage, "rollout").await;
    room.leave().await?;
    done
}

/// Every request gets its whole answer, over connections that were open before and over new ones, of HTTP/1.1 and of
/// HTTP/2, here all over TLS and with a key: a pod that ends serves whoever has not heard of it yet. Whoever has no key
/// gets no answer from any of the pods.
async fn under_load(stage: &Stage, ns: &str) -> Result<()> {
    let host = format!("steady.{ns}.svc.cluster.local");
    let (authority, key) = (Authority::new("Lab")?, random());
    let pair = authority.sign(&host)?;
    let keys = secret(ns, KEYS, &json!({"app": key}));
    let pair = certificate(ns, CERTIFICATE, &pair.certificate, &pair.key);
    stage.apply(&[keys, pair]).await?;
    let of = |secret: &str| json!({"secretRef": {"name": secret}});
    let model = Model::new(ns, "steady", stage.artifact())
        .set("/access/apiKeys", of(KEYS))
        .set("/access/tls", of(CERTIFICATE))
        .set("/runtime/llamaCpp/parallel", 2)
        .set("/drainSeconds", 90)
        .replicas(2);
    stage.world.apply(&model.yaml()).await?;
    client(stage, ns).await?;
    let served = Served {
        url: format!("https://{host}:8080"),
        ..Served::of(ns, "steady")
    };
    let pods = rolled(stage, &served, 2, &BTreeSet::new()).await?;

    let private = ["--trust", authority.certificate(), "--key", &key];
    let start = |tokens, flags: &[&str], private: &[&str]| {
        let flags = [flags, private].concat();
        Load::start(stage, &served, &stream("steady", tokens), &flags)
    };
    let many = start(8, &MANY, &private)?;
    let long = start(150, &LONG, &private)?;
    let keyless = start(8, &KEYLESS, &private[..2])?;
    let rolling = changed(stage, &served, model, pods, &CHANGES).await;
    let fewer = [
        "scale",
        "-n",
        ns,
        "modeldeployment",
        "steady",
        "--replicas=1",
    ];
    stage.world.kubectl(&fewer).await?;
    let fewer = rolled(stage, &served, 1, &BTreeSet::new()).await;
    let (many, long) = (many.end().await?, long.end().await?);
    let keyless = keyless.end().await?;
    rolling?;
    fewer.context("failed to see kubectl scale take a pod away")?;
    println!(
        "e2e note   three rollouts and a pod less over TLS, {} short and {} long streams; of the requests met a pod's leaving: {:?} {:?}",
        many.complete, long.complete, many.crossed, long.crossed
    );
    complete(&many)?;
    complete(&long)?;
    ensure!(
        many.complete > 60 && long.complete > 5,
        "expected a load, got {many:?} and {long:?}"
    );
    ensure!(
        keyless.complete == 0
            && keyless.failed.is_empty()
            && keyless.refused.keys().eq(["401 invalid_api_key"]),
        "expected 401 at every pod without a key, got {keyless:#?}"
    );
    Ok(())
}

/// Makes one change after the other, each when the pods of the one before serve, as many as these.
pub(super) async fn changed(
    stage: &Stage,
    served: &Served,
    mut model: Model,
    mut pods: BTreeSet<String>,
    changes: &[(&str, u32)],
) -> Result<()> {
    let mut rolling = Ok(());
    for (field, value) in changes {
        model = model.set(field, *value);
        stage.world.apply(&model.yaml()).await?;
        match rolled(stage, served, pods.len(), &pods).await {
            Ok(new) => pods = new,
            Err(error) => rolling = Err(error),
        }
    }
    rolling
}

/// Requests of HTTP/2 that may meet a pod's leaving: seven pods leave here, under one client with two streams at once. Fewer
/// leave where else this is asked.
const MOST_CROSSED: u64 = 14;

/// Every stream of a load came to its end, and none was refused. HTTP/2 tells which requests it has not begun; that a
/// kept connection of HTTP/1 is closed in the moment of the next request cannot be told, and is to be hardly ever.
pub(super) fn complete(load: &Summary) -> Result<()> {
    ensure!(
        load.refused.is_empty() && load.failed.is_empty(),
        "expected every stream to be complete, got {load:#?}"
    );
    ensure!(
        load.crossed(HTTP_1) <= 1,
        "expected kept connections to be told of their end, got {load:#?}"
    );
    ensure!(
        load.crossed(HTTP_2) <= MOST_CROSSED,
        "expected no request over HTTP/2 to be refused but by a pod that leaves, got {load:#?}"
    );
    Ok(())
}

/// Every refusal is 503 with a time to retry.
fn told_to_retry(load: &Summary) -> bool {
    let fits = |kind: &String| kind.starts_with("503 ") && kind.ends_with(", Retry-After");
    load.refused.keys().all(fits)
}

/// Waits until as many pods as asked for serve what is written, and those of before are gone: their UIDs.
pub(super) async fn rolled(
    stage: &Stage,
    model: &Served,
    replicas: usize,
    before: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let of = Subject::model(&model.namespace, &model.name);
    stage.world.rolled(of, replicas, before, ROLLED).await
}

async fn recreate(stage: &Stage) -> Result<()> {
    let room = stage.room("recreate").await?;
    let done = gap(stage, "recreate").await;
    room.leave().await?;
    done
}

/// What is claimed for `rollout.type: Recreate` with one replica: a stream that has begun is finished; the gate of
/// the pod that ends and of the one that begins say 503 with Retry-After; where there is no pod, no connection is
/// made, and nothing was begun. A request that meets the gate's leaving on a kept connection of HTTP/1.1, or its
/// GOAWAY on one of HTTP/2, is not begun either, and its client asks once more.
async fn gap(stage: &Stage, ns: &str) -> Result<()> {
    let model = Model::new(ns, "alone", stage.artifact()).set("/rollout/type", "Recreate");
    stage.world.apply(&model.yaml()).await?;
    client(stage, ns).await?;
    let served = Served::of(ns, "alone");
    let pods = rolled(stage, &served, 1, &BTreeSet::new()).await?;

    let flags = [
        "--kept",
        "1",
        "--new",
        "2",
        "--http2",
        "1",
        "--pause-ms",
        "300",
    ];
    let load = Load::start(stage, &served, &stream("alone", 8), &flags)?;
    let next = model.set("/drainSeconds", 21);
    stage.world.apply(&next.yaml()).await?;
    let rolled = rolled(stage, &served, 1, &pods).await;
    let during = load.end().await?;
    rolled?;
    let after = Load::start(stage, &served, &stream("alone", 8), &flags)?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = after.end().await?;
    println!("e2e note   recreated: {during:?}");
    ensure!(
        !during.refused.is_empty() && told_to_retry(&during),
        "expected 503 with Retry-After from a gate that does not serve, and no other refusal, got {during:#?}"
    );
    ensure!(
        during.failed.keys().all(|step| step == "connect"),
        "expected an answer, to its end, wherever there was a connection, got {during:#?}"
    );
    ensure!(
        after.complete > 0 && after.refused.is_empty() && after.failed.is_empty(),
        "expected the new pod to serve, got {after:#?}"
    );
    Ok(())
}
