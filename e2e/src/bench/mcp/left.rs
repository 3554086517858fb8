//! What is left of sessions that are over.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::sleep;

use super::client::ECHO;
use super::proxy::Proxy;
use super::way::{Programs, Way};

/// Sessions at once.
const AT_ONCE: usize = 8;
/// Children that a gate may have, as it is by default.
const CHILDREN: u16 = 16;
/// Sessions of the two worse kinds.
const FEW: usize = 100;
/// How long it is waited for processes to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints how many processes each proxy has beside its own after so many sessions that were ended, after some whose
/// server had started a process of its own, and after some whose clients went without a word.
///
/// # Errors
/// When a call of a session that is to be ended is not answered.
pub async fn left(programs: &Programs, sessions: usize) -> Result<()> {
    for way in Way::PROXIES {
        let proxy = Proxy::start(programs, way, CHILDREN).await?;
        let name = way.name();
        let before = proxy.children().0;
        let began = Instant::now();
        ended(&proxy, sessions, ECHO).await?;
        let took = began.elapsed().as_secs_f64();
        let after = settled(&proxy, before).await;
        println!(
            "bench mcp left of {sessions} sessions that were ended: {name} {before} children before, {after} after; {:.0} sessions a second",
            sessions as f64 / took
        );
        ended(&proxy, FEW, "stray").await?;
        let after = settled(&proxy, before).await;
        println!(
            "bench mcp left of {FEW} sessions whose servers start a process in a session of its own: {name} {after}"
        );
        drop(proxy);

        let proxy = Proxy::start(programs, way, CHILDREN).await?;
        let mut served = 0;
        for _ in 0..FEW {
            // One that is refused is no failure here: it is counted.
            if let Ok(mut client) = proxy.client().await {
                served += usize::from(client.call(ECHO).await.is_ok());
            }
        }
        let after = settled(&proxy, before).await;
        println!(
            "bench mcp left of {FEW} clients that went without a word: {name} served {served}, children {after}"
        );
    }
    Ok(())
}

async fn ended(proxy: &Proxy, sessions: usize, tool: &str) -> Result<()> {
    let each = stream::iter(0..sessions).map(async |_| {
        let mut client = proxy.client().await?;
        client.call(tool).await?;
        client.end().await
    });
    each.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

/// How many processes there are when there are as few as before, or do not become so.
async fn settled(proxy: &Proxy, before: usize) -> usize {
    let began = Instant::now();
    loop {
        let count = proxy.children().0;
        if count <= before || began.elapsed() > PATIENCE {
            return count;
        }
        sleep(Duration::from_millis(200)).await;
    }
}
