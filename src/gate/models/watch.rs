//! What is looked at again and again of a model: its files, and of a Service whether somebody takes connections there.
//!
//! The operator knows whether a ModelDeployment serves. Of a Service it sees no pods; one without any, or whose pods are
//! dead, takes no connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::offer::Offer;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often a connection is tried: it carries nothing and is closed at once.
const TRIED_EVERY: Duration = Duration::from_secs(5);
/// For one.
const CONNECT: Duration = Duration::from_secs(2);
/// As many in a row that come to nothing are told of: a pod that is replaced, or an edge that a node has not heard of yet,
/// takes less.
const AWAY: u8 = 2;

/// Whether somebody takes connections at a model's address, as far as that was tried.
#[derive(Debug, Default)]
pub struct Reach(AtomicU8);

impl Reach {
    /// Nobody does.
    pub fn away(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= AWAY
    }

    /// Tries it once; the first one who takes it ends what was before.
    pub async fn dial(&self, at: SocketAddr, model: &str) {
        let dialled = timeout(CONNECT, TcpStream::connect(at)).await;
        let before = self.away();
        self.note(matches!(dialled, Ok(Ok(_))));
        let away = self.away();
        if before != away {
            tracing::info!(model, away, "a model's address");
        }
    }

    /// It is not tried for now: what was before says nothing any more.
    pub fn forget(&self) {
        self.note(true);
    }

    fn note(&self, taken: bool) {
        let failed = self.0.load(Ordering::Relaxed);
        let failed = if taken { 0 } else { failed.saturating_add(1) };
        self.0.store(failed, Ordering::Relaxed);
    }
}

/// Looks at a model for as long as the gate runs: at its files also while a connection is tried in vain.
pub async fn watch(offer: Arc<Offer>) {
    tokio::join!(files(&offer), listener(&offer));
}

async fn files(offer: &Arc<Offer>) {
    loop {
        sleep(EVERY).await;
        let files = Arc::clone(offer);
        // Mounted files are in memory, but reading them is still a blocking call.
        let _ = tokio::task::spawn_blocking(move || files.reload()).await;
    }
}

async fn listener(offer: &Offer) {
    loop {
        sleep(TRIED_EVERY).await;
        offer.reach().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_comes_to_nothing_says_nothing_and_one_that_is_taken_says_all() {
        let reach = Reach::default();
        let mut away = Vec::new();
        for taken in [false, true, false, false, false, true, false] {
            reach.note(taken);
            away.push(reach.away());
        }
        assert_eq!(away, [false, false, false, true, true, false, false]);
    }
}
