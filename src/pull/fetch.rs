//! Bytes from the registry into a partial file, with patience.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::partial::Partial;
use super::{PullError, Timing};
use crate::gguf::GgufError;
use crate::oci::{Registry, RegistryError, Weights};

/// Pieces between the network and the disk; one is at most what a read of the connection gives.
pub(super) const QUEUE: usize = 8;
const MAX_BACKOFF: Duration = Duration::from_secs(30);
const MAGIC: &[u8; 4] = b"GGUF";

/// The pause after failure number `failures`, counted from 1.
fn pause(timing: &Timing, failures: u32, error: &RegistryError) -> Duration {
    let doubled = timing
        .backoff
        .saturating_mul(1 << failures.saturating_sub(1).min(10));
    match error {
        RegistryError::Unreachable {
            retry_after: Some(asked),
            ..
        } => *asked,
        _ => doubled.min(MAX_BACKOFF),
    }
}

/// Repeats a request while its failure may pass.
pub(super) async fn patiently<T, F>(
    timing: &Timing,
    mut request: impl FnMut() -> F,
) -> Result<T, RegistryError>
where
    F: Future<Output = Result<T, RegistryError>>,
{
    let mut failures = 0;
    loop {
        match request().await {
            Err(error) if error.is_transient() && failures + 1 < timing.attempts => {
                failures += 1;
                tracing::info!(%error, failures, "trying again");
                tokio::time::sleep(pause(timing, failures, &error)).await;
            }
            result => return result,
        }
    }
}

/// Fills `partial` to its end. The tries count from new bytes, so a slow link is no failure.
pub(super) async fn fill(
    registry: &Registry,
    weights: &Weights,
    mut partial: Partial,
    timing: &Timing,
) -> Result<Partial, PullError> {
    let mut failures = 0;
    let mut most = partial.written();
    while partial.written() < weights.size {
        let result;
        (partial, result) = once(registry, weights, partial).await?;
        if partial.written() > most {
            most = partial.written();
            failures = 0;
        }
        match result {
            Ok(()) => {}
            // The rest of an answer does not matter once all bytes are there.
            Err(PullError::Registry(error)) if error.is_transient() => {
                failures += 1;
                if partial.written() < weights.size {
                    if failures >= timing.attempts {
                        return Err(error.into());
                    }
                    tracing::info!(%error, failures, at = partial.written(), "going on");
                    tokio::time::sleep(pause(timing, failures, &error)).await;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(partial)
}

/// One request. The outer error means that the partial file is lost to us.
async fn once(
    registry: &Registry,
    weights: &Weights,
    mut partial: Partial,
) -> Result<(Partial, Result<(), PullError>), PullError> {
    let at = partial.written();
    let mut blob = match registry
        .blob(&weights.digest, weights.size, at, weights.size)
        .await
    {
        Ok(blob) => blob,
        Err(error) => return Ok((partial, Err(error.into()))),
    };
    if blob.first != at {
        tracing::info!(at, "the registry ignores ranges: starting over");
        if let Err(error) = partial.restart() {
            return Ok((partial, Err(error)));
        }
    }
    let (sender, receiver) = mpsc::channel(QUEUE);
    // Dropping the sender, also by dropping this future, lets the writer save its state and end.
    let writer = spawn_blocking(move || {
        let result = partial.drain(receiver);
        (partial, result)
    });
    let mut seen = usize::try_from(blob.first).unwrap_or(usize::MAX);
    let network = loop {
        match blob.chunk().await {
            Ok(Some(chunk)) => {
                if let Some(rest) = MAGIC.get(seen..)
                    && !chunk.iter().zip(rest).all(|(a, b)| a == b)
                {
                    break Err(GgufError::Magic.into());
                }
                seen = seen.saturating_add(chunk.len());
                if sender.send(chunk).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    drop(sender);
    let (partial, disk) = writer
        .await
        .map_err(|error| PullError::io("write the partial file")(error.into()))?;
    Ok((partial, disk.and(network)))
}
