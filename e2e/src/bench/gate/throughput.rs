//! How many requests a second each way takes, with several connections at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;

use super::ways::{Way, Ways};
use crate::bench::pairs::quantiles;

/// Connections at once.
const CONNECTIONS: usize = 16;
/// Turns of all ways, each beginning with another one.
const TURNS: usize = 6;
/// How long a way is measured in a turn.
const TIME: Duration = Duration::from_secs(2);
const WAYS: [Way; 3] = [Way::Bare, Way::Nginx, Way::Gate];

/// Prints the median of each way, and of the ratios within a turn.
///
/// # Errors
/// When a request is not answered with 200.
pub async fn throughput(ways: &Ways) -> Result<()> {
    let mut turns = vec![];
    for turn in 0..=TURNS {
        let mut rates = [0.0; WAYS.len()];
        for place in 0..WAYS.len() {
            let way = (turn + place) % WAYS.len();
            rates[way] = rate(ways, WAYS[way]).await?;
        }
        // The first turn warms up.
        if turn > 0 {
            turns.push(rates);
        }
    }
    let median = |of: &dyn Fn(&[f64; 3]) -> f64| {
        let values: Vec<f64> = turns.iter().map(of).collect();
        quantiles(&values, [50]).map(|[median]| median)
    };
    let shown = |of: &dyn Fn(&[f64; 3]) -> f64| median(of).context("failed to measure anything");
    println!(
        "bench gate throughput, {CONNECTIONS} connections, {TURNS} turns: bare {:.0}, nginx {:.0}, gate {:.0} requests/s, \
         ratios of a turn: gate by bare {:.2}, nginx by bare {:.2}, gate by nginx {:.2}",
        shown(&|turn| turn[0])?,
        shown(&|turn| turn[1])?,
        shown(&|turn| turn[2])?,
        shown(&|turn| turn[2] / turn[0])?,
        shown(&|turn| turn[1] / turn[0])?,
        shown(&|turn| turn[2] / turn[1])?,
    );
    Ok(())
}

async fn rate(ways: &Ways, way: Way) -> Result<f64> {
    let clients = try_join_all((0..CONNECTIONS).map(|_| ways.client(way))).await?;
    let began = Instant::now();
    let counts = clients.into_iter().map(async |mut client| {
        let mut count = 0_u32;
        while began.elapsed() < TIME {
            client.json().await?;
            count += 1;
        }
        anyhow::Ok(count)
    });
    let count: u32 = try_join_all(counts).await?.into_iter().sum();
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}
