//! What sessions cost while nobody uses them.

use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::sleep;

use super::client::ECHO;
use super::proxy::Proxy;
use super::way::{Programs, Way};

/// Sessions that are open while memory is read.
const OPEN: [usize; 3] = [1, 100, 1000];
/// Sessions that begin at once.
const AT_ONCE: usize = 8;
/// Children that a gate may have: each session's, and its own.
const CHILDREN: u16 = 1024;
/// After the last session has begun: what a beginning took is given back.
const PAUSE: Duration = Duration::from_secs(3);

/// Prints the resident memory of each proxy, and of its children, by the number of sessions that have begun and have
/// made one call. Their connections are closed.
///
/// # Errors
/// When a session does not begin.
pub async fn memory(programs: &Programs) -> Result<()> {
    for way in Way::PROXIES {
        let proxy = Proxy::start(programs, way, CHILDREN).await?;
        let mut sessions = 0;
        for open in OPEN {
            let begins = stream::iter(sessions..open).map(async |_| {
                let mut client = proxy.client().await?;
                client.call(ECHO).await?;
                anyhow::Ok(())
            });
            begins.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            sessions = open;
            sleep(PAUSE).await;
            let (count, children) = proxy.children();
            println!(
                "bench mcp memory, {open} sessions: {} {:.1} MiB, its {count} children {children:.0} MiB",
                way.name(),
                proxy.memory()?
            );
        }
        proxy.still_proven().await?;
    }
    Ok(())
}
