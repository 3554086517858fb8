//! How many calls a second each proxy takes, with several sessions at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;

use super::client::ECHO;
use super::way::{Doors, Way};
use crate::bench::pairs::quantiles;

/// Clients at once, each with a connection and a session.
const CLIENTS: usize = 16;
/// Turns of all proxies, each beginning with another one.
const TURNS: usize = 5;
/// How long one is measured in a turn.
const TIME: Duration = Duration::from_secs(2);

/// Prints the median of each, and of its ratio to the gate within a turn.
///
/// # Errors
/// When a call is not answered.
pub async fn throughput(doors: &Doors) -> Result<()> {
    let ways: Vec<Way> = doors.at.iter().map(|(way, _)| *way).collect();
    let mut turns = vec![];
    for turn in 0..=TURNS {
        let mut rates = vec![0.0; ways.len()];
        for place in 0..ways.len() {
            let which = (turn + place) % ways.len();
            rates[which] = rate(doors, ways[which]).await?;
        }
        // The first turn warms up.
        if turn > 0 {
            turns.push(rates);
        }
    }
    let gate = ways.iter().position(|way| *way == Way::Gate);
    let gate = gate.context("failed to find the gate")?;
    for (which, way) in ways.iter().enumerate() {
        let median = |of: &dyn Fn(&Vec<f64>) -> f64| {
            let values: Vec<f64> = turns.iter().map(of).collect();
            quantiles(&values, [50])
                .map(|[median]| median)
                .context("failed to measure anything")
        };
        println!(
            "bench mcp calls a second, {CLIENTS} sessions, {TURNS} turns: {} {:.0}, ratio of a turn to the gate {:.2}",
            way.name(),
            median(&|turn| turn[which])?,
            median(&|turn| turn[which] / turn[gate])?,
        );
    }
    Ok(())
}

async fn rate(doors: &Doors, way: Way) -> Result<f64> {
    let mut clients = try_join_all((0..CLIENTS).map(|_| doors.client(way))).await?;
    let began = Instant::now();
    let counts = clients.iter_mut().map(async |client| {
        let mut count = 0_u32;
        while began.elapsed() < TIME {
            client.call(ECHO).await?;
            count += 1;
        }
        anyhow::Ok(count)
    });
    let count: u32 = try_join_all(counts).await?.into_iter().sum();
    let took = began.elapsed().as_secs_f64();
    try_join_all(clients.into_iter().map(super::client::Client::end)).await?;
    Ok(f64::from(count) / took)
}
