//! What the gate adds: the same request straight on the engine's Unix socket and through a real gate process,
//! in turn, over one kept-alive connection each.
//!
//! The engine answers at once, so that nothing of its time is in the figures. It and the client have a thread
//! each, as they are processes of their own in a cluster.

mod client;
mod engine;
mod events;
mod process;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use tokio::signal::unix::{SignalKind, signal};

use super::pairs::{Pairs, Side};
use super::processes::resident;
use client::Client;
use engine::Engine;
use events::EVENTS;
use process::Gate;

/// Pairs before the first that counts.
const WARM_UP: usize = 200;
/// Pairs of whole JSON answers.
const JSON: usize = 3000;
/// Pairs of streams before the first that counts.
const STREAMS_WARM_UP: usize = 10;
/// Pairs of streams.
const STREAMS: usize = 300;
/// Between two events of a measured stream: each is written, and passed on, by itself.
const PACE: Duration = Duration::from_millis(1);
/// Streams that are open at once while the gate's memory is read.
const OPEN: usize = 100;
/// Between two events of those: some twenty tokens a second.
const SLOW: Duration = Duration::from_millis(50);

/// The two ways to the engine, and the process whose memory is read.
#[derive(Clone, Debug)]
struct Ways {
    socket: PathBuf,
    api: SocketAddr,
    pid: u32,
    origin: Instant,
}

/// Measures the gate of `program` and prints lines that begin with `bench gate`.
///
/// # Errors
/// When the gate does not start, is not proven, or a request is not answered with 200.
pub async fn gate(program: &Path) -> Result<()> {
    // Heard before anything is started: the gate ends with this function, not with this process.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = whole(program) => done,
        _ = interrupt.recv() => anyhow::bail!("failed to measure: interrupted"),
        _ = terminate.recv() => anyhow::bail!("failed to measure: terminated"),
    }
}

async fn whole(program: &Path) -> Result<()> {
    let directory = tempfile::tempdir().context("failed to make a directory for the sockets")?;
    let socket = directory.path().join("runtime.sock");
    let origin = Instant::now();
    println!("bench gate machine: {}", machine()?);
    let _engine = Engine::start(&socket, origin)?;
    let gate = Gate::start(program, directory.path(), &socket).await?;
    let (api, pid) = (gate.api, gate.pid);
    println!(
        "bench gate memory idle, proven and warm: {:.1} MiB",
        resident(pid)?
    );
    let ways = Ways {
        socket,
        api,
        pid,
        origin,
    };
    // One thread for the client: a request does not wait for another thread to see its answer. When this is
    // given up, the gate's end is an error to it, so it ends too.
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(measure(&ways))
    });
    measured.await??;
    gate.still_proven().await?;
    println!("bench gate machine: {}", machine()?);
    Ok(())
}

async fn measure(ways: &Ways) -> Result<()> {
    // The same way twice shows what the measuring itself adds: nothing, or the rest means nothing.
    let null = json(ways.bare().await?, ways.bare().await?).await?;
    show("json, the bare socket twice", "again", &null)?;
    let whole = json(ways.bare().await?, ways.gate().await?).await?;
    show("json, whole answer", "gate", &whole)?;
    let (first, later) = streams(ways).await?;
    show("stream, request to first event", "gate", &first)?;
    show("stream, each later event", "gate", &later)?;
    let open = memory(ways).await?;
    println!("bench gate memory with {OPEN} open streams: {open:.1} MiB");
    Ok(())
}

impl Ways {
    async fn bare(&self) -> Result<Client> {
        Client::unix(&self.socket, self.origin).await
    }

    async fn gate(&self) -> Result<Client> {
        Client::tcp(self.api, self.origin).await
    }
}

async fn json(mut bare: Client, mut gate: Client) -> Result<Pairs> {
    let mut pairs = Pairs::default();
    for pair in 0..WARM_UP + JSON {
        let (mut bare_took, mut gate_took) = (0.0, 0.0);
        for side in Side::order(pair) {
            match side {
                Side::Bare => bare_took = bare.json().await?,
                Side::Gate => gate_took = gate.json().await?,
            }
        }
        if pair >= WARM_UP {
            pairs.push(bare_took, gate_took);
        }
    }
    Ok(pairs)
}

/// From the request to the first event, and from the engine's making of each later event to its arrival.
async fn streams(ways: &Ways) -> Result<(Pairs, Pairs)> {
    let (mut bare, mut gate) = (ways.bare().await?, ways.gate().await?);
    let (mut first, mut later) = (Pairs::default(), Pairs::default());
    for pair in 0..STREAMS_WARM_UP + STREAMS {
        let (mut bare_took, mut gate_took) = Default::default();
        for side in Side::order(pair) {
            match side {
                Side::Bare => bare_took = bare.stream(PACE).await?,
                Side::Gate => gate_took = gate.stream(PACE).await?,
            }
        }
        if pair >= STREAMS_WARM_UP {
            first.push(bare_took.first, gate_took.first);
            for (bare, gate) in bare_took.later.into_iter().zip(gate_took.later) {
                later.push(bare, gate);
            }
        }
    }
    Ok((first, later))
}

/// The gate's memory in MiB while many streams flow.
async fn memory(ways: &Ways) -> Result<f64> {
    let mut clients = try_join_all((0..OPEN).map(|_| ways.gate())).await?;
    let began = Instant::now();
    let mut streams = try_join_all(clients.iter_mut().map(|client| client.open(SLOW))).await?;
    let look = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let shortest = SLOW * (EVENTS - 1);
        ensure!(
            began.elapsed() < shortest,
            "failed to read the memory while all streams were open"
        );
        resident(ways.pid)
    };
    let rest = try_join_all(streams.iter_mut().map(client::Streaming::rest));
    Ok(tokio::try_join!(look, rest)?.0)
}

fn show(what: &str, other: &str, pairs: &Pairs) -> Result<()> {
    let summary = pairs.summary().context("failed to measure anything")?;
    println!("bench gate {what}: {}", summary.line(other));
    Ok(())
}

/// How many processors there are and how busy they are.
fn machine() -> Result<String> {
    let cores = std::thread::available_parallelism().context("failed to count the processors")?;
    let load =
        std::fs::read_to_string("/proc/loadavg").context("failed to read the machine's load")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!("{cores} cores, load of the last minute {load}"))
}
