//! What stands between a client and MCP servers on stdio: bridge and gate, and what others use for that, before the same
//! server, asked by the same client in the same run.
//!
//! The server answers at once and is small, so that what is measured is the proxy. The client has a thread of its own.

mod client;
mod left;
mod marked;
mod memory;
mod proxy;
mod throughput;
mod way;

use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

use super::machine;
use super::pairs::{Pairs, Side};
use crate::cluster::source;
use client::{Client, ECHO};
use proxy::Proxy;
use way::{Doors, Programs, Way};

/// Pairs before the first that counts.
const WARM_UP: usize = 50;
/// Children that a gate may have where speed is measured: more than clients at once.
const CHILDREN: u16 = 64;
/// Who is measured against whom, with how many pairs of calls and of streams.
const AGAINST: [(Way, Way, usize, usize); 6] = [
    (Way::Gate, Way::Gate, 1000, 0),
    (Way::Bare, Way::Gate, 1000, 100),
    (Way::Supergateway, Way::Gate, 1000, 100),
    (Way::McpProxy, Way::Shared, 1000, 100),
    (Way::Stateless, Way::Gate, 100, 50),
    (Way::Unread, Way::Gate, 1000, 0),
];

/// Measures bridge and gate of `program`, and the proxies in the directory `proxies` beside them, and prints lines that
/// begin with `bench mcp`. `sessions` begin and end before it is counted what is left of them.
///
/// # Errors
/// When one of them does not start, the gate is not proven, or a call is not answered.
pub async fn mcp(program: &Path, proxies: &Path, sessions: usize) -> Result<()> {
    // Heard before anything is started: all proxies end with this function, not with this process.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let programs = Programs {
        sealroom: program.to_owned(),
        proxies: proxies.to_owned(),
        server: source().join("mcp/small.pl"),
    };
    tokio::select! {
        done = whole(&programs, sessions) => done,
        _ = interrupt.recv() => anyhow::bail!("failed to measure: interrupted"),
        _ = terminate.recv() => anyhow::bail!("failed to measure: terminated"),
    }
}

async fn whole(programs: &Programs, sessions: usize) -> Result<()> {
    println!("bench mcp machine: {}", machine()?);
    speed(programs).await?;
    memory::memory(programs).await?;
    left::left(programs, sessions).await?;
    println!("bench mcp machine: {}", machine()?);
    Ok(())
}

async fn speed(programs: &Programs) -> Result<()> {
    let mut proxies = vec![];
    for way in [
        Way::Gate,
        Way::Unread,
        Way::Shared,
        Way::Supergateway,
        Way::Stateless,
        Way::McpProxy,
    ] {
        proxies.push(Proxy::start(programs, way, CHILDREN).await?);
    }
    let doors = Doors {
        server: programs.server.clone(),
        at: proxies.iter().map(Proxy::door).collect(),
    };
    // One thread for the client: a request does not wait for another thread to see its answer. When this is
    // given up, the proxies' end is an error to it, so it ends too.
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(measure(&doors))
    });
    measured.await??;
    for proxy in &proxies {
        proxy.still_proven().await?;
    }
    Ok(())
}

async fn measure(doors: &Doors) -> Result<()> {
    for (first, second, calls, streams) in AGAINST {
        let (mut one, mut other) = (doors.client(first).await?, doors.client(second).await?);
        let names = [first.name(), second.name()];
        let mut pairs = Pairs::default();
        for pair in 0..WARM_UP + calls {
            let took = pair_of(pair, &mut one, &mut other, Asked::Call).await?;
            if let ([Some(first), Some(second)], true) = (took, pair >= WARM_UP) {
                pairs.push(first, second);
            }
        }
        show("a small call", names, &pairs)?;
        let mut pairs = Pairs::default();
        let mut lost = [0; 2];
        for pair in 0..streams {
            let took = pair_of(pair, &mut one, &mut other, Asked::Stream).await?;
            for (lost, took) in lost.iter_mut().zip(took) {
                *lost += usize::from(took.is_none());
            }
            if let [Some(first), Some(second)] = took {
                pairs.push(first, second);
            }
        }
        if streams > 0 {
            show("a stream's first event", names, &pairs)?;
            println!(
                "bench mcp streams whose first event never came, of {streams}: {names:?} {lost:?}"
            );
        }
    }
    throughput::throughput(doors).await
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Call,
    Stream,
}

/// One pair, in microseconds; `None` for an event that was lost.
async fn pair_of(
    pair: usize,
    one: &mut Client,
    other: &mut Client,
    asked: Asked,
) -> Result<[Option<f64>; 2]> {
    let mut took = [None; 2];
    for side in Side::order(pair) {
        let (client, took) = match side {
            Side::First => (&mut *one, &mut took[0]),
            Side::Second => (&mut *other, &mut took[1]),
        };
        *took = match asked {
            Asked::Call => Some(client.call(ECHO).await?),
            Asked::Stream => client.stream().await?,
        };
    }
    Ok(took)
}

fn show(what: &str, names: [&str; 2], pairs: &Pairs) -> Result<()> {
    let summary = pairs.summary().context("failed to measure anything")?;
    println!("bench mcp {what}: {}", summary.line(names));
    Ok(())
}
