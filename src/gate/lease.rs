//! The gate's end of the lease: says every second, and at every change at once, whether the engine may run.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::core::{Core, DrainFor};
use super::drain;
use crate::launch::lines::{LineReader, say};
use crate::seal::lease::{MAX_LINE, Runtime};

/// For the hello, and for launch to take a line.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the word is repeated.
const REPEAT: Duration = Duration::from_secs(1);

/// Serves one launch at a time, for ever.
///
/// The engine sees this socket too. It cannot take the lease: launch holds the one place while an engine runs,
/// and comes again only when it has killed every process beside itself.
pub async fn serve(listener: UnixListener, core: Arc<Core>, drain: drain::Config) {
    let place = Arc::new(Semaphore::new(1));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(held) = Arc::clone(&place).try_acquire_owned() else {
            continue;
        };
        let core = Arc::clone(&core);
        tokio::spawn(async move {
            let end = connection(stream, &core, drain).await;
            core.disconnected();
            tracing::info!(
                reason = end.err().map(|error| error.to_string()),
                "launch is gone"
            );
            drop(held);
        });
    }
}

async fn connection(stream: UnixStream, core: &Arc<Core>, drain: drain::Config) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = LineReader::new(reader, MAX_LINE);
    let hello = timeout(PATIENCE, lines.next()).await??;
    let Some(Runtime::Hello { locks }) = hello.map(|line| parse(&line)).transpose()? else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "failed to read hello",
        ));
    };
    tracing::info!(?locks, "launch is here");
    core.connected(&locks);
    let mut status = core.watch();
    let mut repeat = interval(REPEAT);
    repeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            changed = status.changed() => if changed.is_err() { return Ok(()) },
            _ = repeat.tick() => { core.refresh(); }
            line = lines.next() => {
                let Some(line) = line? else { return Ok(()) };
                let phase = parse(&line)?;
                if phase == Runtime::Stopping {
                    drain::start(core, DrainFor::Runtime, drain);
                }
                // Also that: an engine that ends from here on does not end by itself.
                core.says(phase);
                // Its own words change what it hears only through the status.
                continue;
            }
        }
        let word = status.borrow_and_update().word.clone();
        timeout(PATIENCE, say(&mut writer, &word)).await??;
    }
}

fn parse(line: &[u8]) -> io::Result<Runtime> {
    serde_json::from_slice(line)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "failed to read launch's line"))
}
