//! How fast an opening is closed, on a running cluster.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;

use super::pairs::quantiles;
use super::processes::{Process, all};
use crate::suite::fixtures::egress_hole;
use crate::suite::{PROGRAM, Stage};

/// Holes that are opened.
const HOLES: usize = 20;

/// One hole, in seconds since kubectl had returned from the write.
#[derive(Clone, Copy, Debug)]
struct Hole {
    first_refused: f64,
    last_accepted: f64,
    runtime_ended: f64,
    recovered: f64,
}

/// Opens a hole again and again while a client asks without a pause, and prints the times.
///
/// # Errors
/// When the model does not shut or does not come back.
pub async fn holes(stage: &Stage) -> Result<()> {
    let mut all = vec![];
    for n in 1..=HOLES {
        let hole = hole(stage)
            .await
            .with_context(|| format!("failed in hole {n}"))?;
        println!(
            "bench hole {n:>2} first refused {:.2}s, last accepted {:.2}s, runtime ended {:.2}s, serving again {:.1}s after it was removed",
            hole.first_refused, hole.last_accepted, hole.runtime_ended, hole.recovered
        );
        all.push(hole);
    }
    for (name, value) in [
        (
            "to the first refused request",
            (|h| h.first_refused) as fn(&Hole) -> f64,
        ),
        ("to the last accepted request", |h| h.last_accepted),
        ("to the end of the runtime's last process", |h| {
            h.runtime_ended
        }),
        ("hole removed to serving again", |h| h.recovered),
    ] {
        let values: Vec<f64> = all.iter().map(value).collect();
        let [least, median, most] =
            quantiles(&values, [0, 50, 100]).context("failed to measure anything")?;
        println!(
            "bench {name}: least {least:.2}s, median {median:.2}s, most {most:.2}s, n={}",
            values.len()
        );
    }
    Ok(())
}

async fn hole(stage: &Stage) -> Result<Hole> {
    let model = stage.assistant().await?;
    let (ns, name) = (model.namespace.as_str(), model.name.as_str());
    let ready = Duration::from_secs(90);
    let world = &stage.world;
    world
        .wait_condition(ns, name, "Ready", "True", "", ready)
        .await?;
    // The pod's own address: the gate's answer, and not what the Service makes of it.
    let pods = world.pods(ns, name).await?;
    let address = pods
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .find_map(|pod| pod["status"]["podIP"].as_str())
        .context("failed to find the pod's address")?;
    let url = format!("http://{address}:8080/v1/models");
    let ask = [
        PROGRAM,
        "tool",
        "fetch",
        "--exit-zero",
        "--times",
        "250",
        "--pause-ms",
        "20",
        "--timeout-seconds",
        "1",
        "--enough-failures",
        "5",
        &url,
    ];
    let client = world.exec_program(ns, "client", "tool", &ask);
    let asking = tokio::spawn(async move { client.run().await });
    let running = engines();
    ensure!(!running.is_empty(), "failed to find the engine's process");
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.apply(&egress_hole(ns, "measured", None)).await?;
    let opened = Timestamp::now();
    let runtime_ended = async {
        while running.iter().any(Process::runs) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Timestamp::now()
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), runtime_ended);
    let (ended, lines) = tokio::join!(ended, asking);
    let (ended, lines) = (
        ended.context("failed to see the engine end")?,
        lines??.stdout,
    );
    // Otherwise the status from before the hole would be taken for the one after it.
    world
        .wait_condition(ns, name, "Ready", "False", "", ready)
        .await?;
    world
        .kubectl(&["delete", "networkpolicy", "-n", ns, "measured"])
        .await?;
    let removed = Timestamp::now();
    world
        .wait_condition(ns, name, "Ready", "True", "", ready)
        .await?;
    let recovered = seconds(removed, Timestamp::now());
    let answers = lines.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let at: Timestamp = words.next()?.parse().ok()?;
        Some((at, words.next()? == "200"))
    });
    let after: Vec<_> = answers.filter(|(at, _)| *at >= opened).collect();
    let refused = after
        .iter()
        .find(|(_, accepted)| !accepted)
        .context("failed to see a refused request")?;
    let accepted = after.iter().rev().find(|(_, accepted)| *accepted);
    Ok(Hole {
        first_refused: seconds(opened, refused.0),
        last_accepted: accepted.map_or(0.0, |(at, _)| seconds(opened, *at)),
        runtime_ended: seconds(opened, ended),
        recovered,
    })
}

/// The processes of llama.cpp on all nodes.
fn engines() -> Vec<Process> {
    let mut found = all();
    found.retain(|process| process.is("llama-server"));
    found
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to - from).total(jiff::Unit::Second).unwrap_or_default()
}
