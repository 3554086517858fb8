//! The process side of an MCP server that speaks over stdio: a child for each connection of the gate.
//!
//! One connection on the Unix socket is one child's standard streams: what the gate writes is its input, what it writes
//! is the answer, lines of JSON as MCP has them. Nothing is read here, and nothing here is trusted: the bridge lives in
//! the server's container, so keys, filter, pin, audit and seal are the gate's. What it does is what only it can do:
//! lock itself, start children while the lease holds, end them with all that they have started, bound what they print
//! and what memory they take ([`bounded`]). When it is no longer what the gate reaches ([`place`]), they end as if by
//! themselves and it takes its place anew: otherwise it would live on, healthy and unheard.

pub mod bounded;
pub mod child;
pub mod family;
pub mod place;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::launch::{Runs, processes, socket};
use family::Family;
use place::Place;

/// Variables that are ours: no child sees them.
const OURS: &str = "SEALROOM_";
/// Pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// For a child to end and leave its place: what that may take, and a little more.
const FOR_A_PLACE: Duration = Duration::from_secs(6);
/// Told as the exit code where the gate no longer reaches the children: none of them has ended by that.
const DISPLACED: i32 = 7;

/// What the bridge needs to know of its children.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the gate connects.
    pub socket: PathBuf,
    /// The server's program and its arguments.
    pub command: Vec<OsString>,
    /// Its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Most children at once.
    pub max_children: usize,
}

/// The environment of a server out of the container's: all that the image and the object set.
#[must_use]
pub fn environment(from: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let ours = |name: &OsString| name.to_str().is_some_and(|name| name.starts_with(OURS));
    from.filter(|(name, _)| !ours(name)).collect()
}

/// The children, while the lease holds.
#[derive(Debug)]
pub struct Children {
    config: Arc<Config>,
    family: Arc<Family>,
    open: Option<Open>,
    ending: bool,
}

/// While the gate may connect: where, and who takes what comes.
#[derive(Debug)]
struct Open {
    place: Place,
    _accepting: AbortOnDropHandle<()>,
}

impl Children {
    /// None yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            family: Arc::new(Family::new(config.max_children)),
            config: Arc::new(config),
            open: None,
            ending: false,
        }
    }
}

impl Runs for Children {
    fn start(&mut self) -> io::Result<()> {
        if !processes::kill_all(None) {
            return Err(io::Error::other("processes of the last children are left"));
        }
        self.ending = false;
        self.family = Arc::new(Family::new(self.config.max_children));
        let listener = socket::bind(&self.config.socket, 0o666)?;
        // No child lives that could have touched it.
        let place = Place::of(&self.config.socket, Instant::now())?;
        let accepting = accept(listener, Arc::clone(&self.config), Arc::clone(&self.family));
        self.open = Some(Open {
            place,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)),
        });
        Ok(())
    }

    fn listens(&mut self) -> bool {
        self.open.is_some()
    }

    fn ended(&mut self, reaped: &[(Pid, i32)]) -> Option<i32> {
        self.family.reaped(reaped);
        if self.ending {
            return self.family.is_empty().then_some(0);
        }
        // Who stands in the bridge's place is among those who are killed for this, and the next start takes it back.
        let error = self.open.as_mut()?.place.lost(Instant::now())?;
        tracing::error!(%error, "failed to stay where the gate connects; the children are ended");
        Some(DISPLACED)
    }

    fn term(&mut self) {
        self.ending = true;
        self.open = None;
        self.family.end();
    }

    fn kill(&mut self) {
        self.ending = false;
        self.open = None;
        self.family.end();
        let clean = processes::kill_all(None);
        self.family.gone();
        tracing::info!(clean, "children ended");
    }
}

async fn accept(listener: UnixListener, config: Arc<Config>, family: Arc<Family>) {
    let waiting = Arc::new(Semaphore::new(config.max_children));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let Ok(waits) = Arc::clone(&waiting).try_acquire_owned() else {
            tracing::warn!(most = config.max_children, "there are too many children");
            continue;
        };
        let (config, family) = (Arc::clone(&config), Arc::clone(&family));
        tokio::spawn(async move {
            // The gate gives a place anew when it hangs up; here it is free when the child has ended.
            let place = tokio::select! {
                biased;
                // Nobody starts a child after the lease.
                () = family.told_to_end() => return,
                place = timeout(FOR_A_PLACE, family.place()) => place,
            };
            let Ok(Some(place)) = place else {
                tracing::warn!(most = config.max_children, "there are too many children");
                return;
            };
            drop(waits);
            child::serve(stream, &config, &family).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_sees_the_containers_environment_without_ours() {
        let from = [
            "PATH",
            "OPENAI_BASE_URL",
            "SEALROOM_LEASE_SOCKET",
            "sealroom",
        ];
        let from = from.into_iter().map(|name| (name.into(), "x".into()));
        let names: Vec<_> = environment(from)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["PATH", "OPENAI_BASE_URL", "sealroom"]);
    }
}
