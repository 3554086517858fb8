//! What the gate adds: the same request straight on the engine's Unix socket, through nginx and through a real gate
//! process, two of them in turn, over one kept-alive connection each.
//!
//! The engine answers at once, so that nothing of its time is in the figures. It and the client have a thread
//! each, as they are processes of their own in a cluster. At the end [`real`] has llama.cpp in its place.

mod client;
mod engine;
mod events;
#[cfg(test)]
mod idle_tests;
mod nginx;
mod proxies;
mod real;
mod throughput;
mod ways;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use tokio::signal::unix::{SignalKind, signal};

use super::machine;
use super::pairs::{Pairs, Side};
use engine::Engine;
use events::EVENTS;
use proxies::Proxies;
use ways::{Way, Ways};

/// Pairs before the first that counts.
const WARM_UP: usize = 200;
/// Pairs of whole JSON answers.
const JSON: usize = 3000;
/// Pairs of streams before the first that counts.
const STREAMS_WARM_UP: usize = 10;
/// Pairs of streams.
const STREAMS: usize = 200;
/// Between two events of a measured stream: each is written, and passed on, by itself.
const PACE: Duration = Duration::from_millis(1);
/// Streams that are open at once while memory is read.
const OPEN: usize = 1000;
/// Between two events of those: slow, so that a machine of two cores carries all of them.
const SLOW: Duration = Duration::from_millis(400);
/// Who is measured against whom.
const AGAINST: [[Way; 2]; 3] = [
    [Way::Bare, Way::Gate],
    [Way::Bare, Way::Nginx],
    [Way::Nginx, Way::Gate],
];

/// Measures the gate of `program`, with the program `nginx` beside it, and prints lines that begin with `bench gate`.
///
/// # Errors
/// When one of them does not start, the gate is not proven, or a request is not answered with 200.
pub async fn gate(program: &Path, nginx: &Path) -> Result<()> {
    // Heard before anything is started: the gate ends with this function, not with this process.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let all = async {
        played(program, nginx).await?;
        real::real(program, nginx).await
    };
    tokio::select! {
        done = all => done,
        _ = interrupt.recv() => anyhow::bail!("failed to measure: interrupted"),
        _ = terminate.recv() => anyhow::bail!("failed to measure: terminated"),
    }
}

async fn played(program: &Path, nginx: &Path) -> Result<()> {
    let directory = tempfile::tempdir().context("failed to make a directory for the sockets")?;
    let socket = directory.path().join("runtime.sock");
    let origin = Instant::now();
    println!("bench gate machine: {}", machine()?);
    let _engine = Engine::start(&socket, origin)?;
    let proxies = Proxies::start(program, nginx, directory.path(), &socket).await?;
    let ways = proxies.ways(socket, origin);
    for way in [Way::Gate, Way::Nginx] {
        let (name, memory) = (way.name(), ways.memory(way)?);
        println!("bench gate memory idle, before the first request: {name} {memory:.1} MiB");
    }
    // One thread for the client: a request does not wait for another thread to see its answer. When this is
    // given up, the gate's end is an error to it, so it ends too.
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(measure(&ways))
    });
    measured.await??;
    proxies.gate.still_proven().await?;
    println!("bench gate machine: {}", machine()?);
    Ok(())
}

async fn measure(ways: &Ways) -> Result<()> {
    // The same way twice shows what the measuring itself adds: nothing, or the rest means nothing.
    let null = json(ways, [Way::Bare, Way::Bare]).await?;
    show("json, the bare socket twice", ["bare", "again"], &null)?;
    for sides in AGAINST {
        let names = sides.map(Way::name);
        show("json, whole answer", names, &json(ways, sides).await?)?;
        let (first, later) = streams(ways, sides).await?;
        show("stream, request to first event", names, &first)?;
        show("stream, each later event", names, &later)?;
    }
    throughput::throughput(ways).await?;
    for way in [Way::Gate, Way::Nginx] {
        let (name, open) = (way.name(), memory(ways, way).await?);
        println!("bench gate memory with {OPEN} open streams: {name} {open:.1} MiB");
    }
    Ok(())
}

async fn json(ways: &Ways, [first, second]: [Way; 2]) -> Result<Pairs> {
    let (mut first, mut second) = (ways.client(first).await?, ways.client(second).await?);
    let mut pairs = Pairs::default();
    for pair in 0..WARM_UP + JSON {
        let (mut first_took, mut second_took) = (0.0, 0.0);
        for side in Side::order(pair) {
            match side {
                Side::First => first_took = first.json().await?,
                Side::Second => second_took = second.json().await?,
            }
        }
        if pair >= WARM_UP {
            pairs.push(first_took, second_took);
        }
    }
    Ok(pairs)
}

/// From the request to the first event, and from the engine's making of each later event to its arrival.
async fn streams(ways: &Ways, [first, second]: [Way; 2]) -> Result<(Pairs, Pairs)> {
    let (mut one, mut other) = (ways.client(first).await?, ways.client(second).await?);
    let (mut first, mut later) = (Pairs::default(), Pairs::default());
    for pair in 0..STREAMS_WARM_UP + STREAMS {
        let (mut one_took, mut other_took) = Default::default();
        for side in Side::order(pair) {
            match side {
                Side::First => one_took = one.stream(PACE).await?,
                Side::Second => other_took = other.stream(PACE).await?,
            }
        }
        if pair >= STREAMS_WARM_UP {
            first.push(one_took.first, other_took.first);
            for (one, other) in one_took.later.into_iter().zip(other_took.later) {
                later.push(one, other);
            }
        }
    }
    Ok((first, later))
}

/// Memory in MiB while many streams flow.
async fn memory(ways: &Ways, way: Way) -> Result<f64> {
    let mut clients = try_join_all((0..OPEN).map(|_| ways.client(way))).await?;
    let began = Instant::now();
    let mut streams = try_join_all(clients.iter_mut().map(|client| client.open(SLOW))).await?;
    let look = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let shortest = SLOW * (EVENTS - 1);
        ensure!(
            began.elapsed() < shortest,
            "failed to read the memory while all streams were open"
        );
        ways.memory(way)
    };
    let rest = try_join_all(streams.iter_mut().map(client::Streaming::rest));
    Ok(tokio::try_join!(look, rest)?.0)
}

fn show(what: &str, names: [&str; 2], pairs: &Pairs) -> Result<()> {
    let summary = pairs.summary().context("failed to measure anything")?;
    println!("bench gate {what}: {}", summary.line(names));
    Ok(())
}
