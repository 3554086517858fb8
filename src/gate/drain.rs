//! The drain: a pod that ends finishes its streams first, and serves who has not heard of its end yet.
//!
//! Asked for by the preStop hook (`sealroom gate --drain`, over a socket beside the lease's), by SIGTERM, or by
//! a launch that was told to terminate.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::client::REST;
use super::core::{Core, Drain, DrainFor};
use super::doors::Doors;
use super::drain_state::DrainNumber;

/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// For launch to hear that it is done, before the gate ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// For clients to take the end of their answers, at least and at most.
const DELIVERY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// Most hooks that wait at once.
const MAX_HOOKS: usize = 4;

/// Where the hook finds the gate.
#[must_use]
pub fn socket(lease_socket: &Path) -> PathBuf {
    lease_socket.with_file_name("drain.sock")
}

/// How long a drain takes.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// From its beginning to its end at the latest.
    pub limit: Duration,
    /// How long requests that still arrive are served, at most half of `limit`: until everybody who chooses a pod for
    /// a connection (kube-proxy, the CNI's agent, an ingress) has heard that this one is not ready.
    pub lame_duck: Duration,
}

impl Config {
    /// When those who wait for a slot are refused too: the other half is for what is under way.
    fn waits(self) -> Duration {
        self.limit / 2
    }

    /// Out of what is left of the pod's grace period after `limit`, for answers that are on their way to their clients.
    fn delivery(self) -> Duration {
        let [least, most] = DELIVERY;
        (self.limit / 4).clamp(least, most)
    }
}

/// Starts the drain unless it has begun.
pub fn start(core: &Arc<Core>, by: DrainFor, config: Config) {
    let Some(number) = core.drain(by) else {
        return;
    };
    tracing::info!(?by, "draining");
    tokio::spawn(go(Arc::clone(core), number, config));
}

async fn go(core: Arc<Core>, number: DrainNumber, config: Config) {
    let begun = Instant::now();
    if core.runtime().warm && core.admits().is_ok() {
        sleep(config.lame_duck.min(config.waits())).await;
    }
    let (mut next, mut busy) = (Drain::Refusing, Instant::now());
    loop {
        if !core.advance(number, next) {
            return;
        }
        if next == Drain::Done {
            break;
        }
        sleep(LOOK).await;
        if core.in_flight() > 0 {
            busy = Instant::now();
        }
        let spent = begun.elapsed();
        // A connection that could not be told to end rests first, and its next request is served, as long as any is. Its
        // rest began within a look after the last one that saw a request.
        let rested = spent >= config.waits()
            || core.doors.carrying() == 0
            || busy.elapsed() > REST + 2 * LOOK;
        if rested && core.end_drain(number) {
            break;
        }
        next = if spent >= config.limit {
            Drain::Done
        } else if spent >= config.waits() {
            Drain::Emptying
        } else {
            Drain::Refusing
        };
    }
    tracing::info!(left = core.in_flight(), "drained");
}

/// Waits until the drain is done.
pub async fn done(core: &Core) {
    let mut status = core.watch();
    let _ = status.wait_for(|status| status.drain == Drain::Done).await;
}

/// Waits until launch has hung up, at most a second: it takes a gate that is gone without its last word for a
/// crash, and kills the engine.
pub async fn heard(core: &Core) {
    let begun = Instant::now();
    while core.runtime().connected && begun.elapsed() < FAREWELL {
        sleep(LOOK).await;
    }
}

/// Waits until no connection carries an answer any more, at most a few seconds.
///
/// A request is over when its connection has taken the end of the answer, which a slow reader has not got by then. The
/// connections have been told to end.
pub async fn delivered(doors: &Doors, config: Config) {
    let begun = Instant::now();
    while doors.carrying() > 0 && begun.elapsed() < config.delivery() {
        sleep(LOOK).await;
    }
}

/// Serves the hooks.
pub async fn serve(listener: UnixListener, core: Arc<Core>, config: Config) {
    let places = Arc::new(tokio::sync::Semaphore::new(MAX_HOOKS));
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            sleep(LOOK).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let core = Arc::clone(&core);
        tokio::spawn(async move {
            let mut order = [0u8; 6];
            let read = timeout(Duration::from_secs(2), stream.read_exact(&mut order)).await;
            if matches!(read, Ok(Ok(_))) && &order == b"drain\n" {
                start(&core, DrainFor::Pod, config);
                done(&core).await;
                let _ = stream.write_all(b"drained\n").await;
            }
            drop(place);
        });
    }
}

/// The hook's side: asks, and waits until it is done or `limit` is over.
///
/// # Errors
/// The gate is not there, or broke off, or did not finish in time.
pub async fn ask(socket: &Path, limit: Duration) -> io::Result<()> {
    let deadline = Instant::now() + limit;
    let asked = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(b"drain\n").await?;
        let mut answer = [0u8; 8];
        stream.read_exact(&mut answer).await.map(drop)
    };
    tokio::select! {
        done = asked => done,
        () = sleep_until(deadline) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::session::Session;
    use crate::seal::state;

    #[rstest::rstest]
    #[case(1, 1)]
    #[case(12, 3)]
    #[case(113, 5)]
    fn the_time_for_delivery(#[case] limit: u64, #[case] seconds: u64) {
        let config = Config {
            limit: Duration::from_secs(limit),
            lame_duck: Duration::ZERO,
        };
        assert_eq!(config.delivery(), Duration::from_secs(seconds));
    }

    #[rstest::rstest]
    #[case::its_rest(10_000, REST + 2 * LOOK, 2_000)]
    #[case::half_of_the_time(1_000, Duration::from_millis(500), 900)]
    #[tokio::test]
    async fn a_connection_that_was_not_told_holds_it_up_for(
        #[case] limit: u64,
        #[case] least: Duration,
        #[case] most: u64,
    ) {
        let config = state::Config {
            when_stale: state::WhenStale::Serve,
            grace: Duration::ZERO,
            own_node: state::OwnNode::Report,
        };
        let core = Core::new(state::Machine::new(config, "pod", Session::random()));
        let core = Arc::new(core);
        let door = core.doors.enter();
        let _carries = door.carries();
        let config = Config {
            limit: Duration::from_millis(limit),
            lame_duck: Duration::ZERO,
        };
        let begun = Instant::now();
        start(&core, DrainFor::Pod, config);
        done(&core).await;
        let took = begun.elapsed();
        assert!(took >= least, "{took:?}");
        assert!(took < Duration::from_millis(most), "{took:?}");
    }

    #[tokio::test]
    async fn connections_that_carry_something_are_waited_for() {
        let config = Config {
            limit: Duration::from_secs(4),
            lame_duck: Duration::ZERO,
        };
        let doors = Doors::default();
        let silent = doors.enter();
        delivered(&doors, config).await;
        let begun = Instant::now();
        let carries = silent.carries();
        delivered(&doors, config).await;
        assert!(begun.elapsed() >= DELIVERY[0]);
        let waits = async {
            sleep(Duration::from_millis(100)).await;
            drop(carries);
            Instant::now()
        };
        let long = Config {
            limit: Duration::from_secs(120),
            ..config
        };
        let (gone, ()) = tokio::join!(waits, delivered(&doors, long));
        assert!(gone.elapsed() < long.delivery() / 2);
    }
}
