//! The header alone, by a bounded range request.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{PullError, Timing, fetch};
use crate::gguf::{GgufError, Header, Limits};
use crate::oci::{Registry, RegistryError, Weights};

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
    let mut blob = registry.blob(&weights.digest, weights.size, 0, end).await?;
    let (sender, chunks) = mpsc::channel(fetch::QUEUE);
    let size = weights.size;
    let reader = spawn_blocking(move || {
        let incoming = Incoming {
            chunks,
            current: Bytes::new(),
        };
        Header::read(io::BufReader::new(incoming), size, limits)
    });
    let network = loop {
        match blob.chunk().await {
            // A reader that has what it wants, or has seen enough, hangs up.
            Ok(Some(chunk)) => {
                if sender.send(chunk).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
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
