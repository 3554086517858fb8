//! The header alone, by a bounded range request.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{PullError, Timing, fetch};
use crate::gguf::{GgufError, Header, Limits};
use crate::oci::{Registry, RegistryError, Weights};

/// Bytes of one request: most headers come with the first, and little is read in vain.
const WINDOW: u64 = 4 << 20;

/// What a channel delivers, as a reader. Its end is the end of the file.
struct Incoming {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Reads the header off the registry, and stops reading where the header ends.
pub(super) async fn header(
    registry: &Registry,
    weights: &Weights,
    timing: &Timing,
) -> Result<Header, PullError> {
    let result = fetch::patiently(timing, || once(registry, weights)).await?;
    Ok(result?)
}

async fn once(
    registry: &Registry,
    weights: &Weights,
) -> Result<Result<Header, GgufError>, RegistryError> {
    let limits = Limits::default();
    let end = weights.size.min(limits.bytes);
    let (sender, chunks) = mpsc::channel(fetch::QUEUE);
    let size = weights.size;
    let reader = spawn_blocking(move || {
        let incoming = Incoming {
            chunks,
            current: Bytes::new(),
        };
        Header::read(io::BufReader::new(incoming), size, limits)
    });
    let network = windows(registry, weights, end, &sender).await;
    drop(sender);
    let header = reader
        .await
        .unwrap_or_else(|error| Err(GgufError::Io(error.into())));
    match (header, network) {
        // The header broke off because the network did.
        (Err(error), Err(network)) if error.is_truncated() => Err(network),
        (header, _) => Ok(header),
    }
}

/// Sends the first `end` bytes, until the reader hangs up: it has what it wants, or has seen enough.
async fn windows(
    registry: &Registry,
    weights: &Weights,
    end: u64,
    sender: &mpsc::Sender<Bytes>,
) -> Result<(), RegistryError> {
    let mut at = 0;
    while at < end {
        let until = end.min(at + WINDOW);
        let mut blob = registry
            .blob(&weights.digest, weights.size, at, until)
            .await?;
        if blob.first != at {
            return Err(registry.protocol("it honours some ranges and ignores others"));
        }
        while let Some(chunk) = blob.chunk().await? {
            at += chunk.len() as u64;
            if sender.send(chunk).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
