//! Requests' bodies: read whole, within a memory that all of them share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::answer::Refusal;
use super::arriving::Arriving;
use super::metrics::{Limit, Metrics};

/// For a place in the memory that all bodies share.
const BUDGET_PATIENCE: Duration = Duration::from_secs(5);
/// Bodies in memory at once, as a multiple of the largest.
const BUDGET_BODIES: usize = 8;
/// Most bytes of bodies in memory, if one body may not be larger.
pub const BUDGET_BYTES: usize = 64 * 1024 * 1024;

/// Behind a body, for what the gate may write into it: else all of it would be copied for that, outside the budget.
const SPARE: usize = 128;

/// The memory for bodies.
#[derive(Debug)]
pub struct Bodies {
    max: usize,
    patience: Duration,
    /// KiB of bodies.
    budget: Arc<Semaphore>,
}

/// A body, and its share of the memory.
#[derive(Debug)]
pub struct Taken {
    /// It.
    pub bytes: Bytes,
    /// Free again when this is dropped.
    pub budget: OwnedSemaphorePermit,
}

impl Bodies {
    /// Of at most `max` bytes each; a client has `patience` to send one.
    #[must_use]
    pub fn new(max: usize, patience: Duration) -> Self {
        let all = (BUDGET_BODIES * max).min(BUDGET_BYTES).max(max);
        let budget = Arc::new(Semaphore::new(kib(all)));
        Self {
            max,
            patience,
            budget,
        }
    }

    /// Reads a body, once there is memory for the largest that it may become; keeps what it takes.
    ///
    /// # Errors
    /// 400, 408, 413, or 429 where other bodies take all memory.
    pub async fn read(&self, body: Arriving, metrics: &Metrics) -> Result<Taken, Refusal> {
        let too_large = || {
            let message = format!("the body is larger than {} bytes", self.max);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).close()
        };
        let declared = body.size_hint().upper();
        let need = declared.map_or(self.max, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        });
        if need > self.max {
            return Err(too_large());
        }
        let need = u32::try_from(kib(need)).map_err(|_| too_large())?;
        let budget = Arc::clone(&self.budget).acquire_many_owned(need);
        let budget = timeout(BUDGET_PATIENCE, budget)
            .await
            .ok()
            .and_then(Result::ok);
        let mut budget = budget.ok_or_else(|| {
            let message = "the bodies of other requests take all memory";
            metrics.limited(Limit::BodyMemory, message, 1)
        })?;
        let bytes = match timeout(self.patience, whole(body, self.max)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(NotWhole::TooLong)) => return Err(too_large()),
            Ok(Err(NotWhole::Broken)) => {
                let message = "the body broke off";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "body_broken", message).close());
            }
            Err(_) => {
                let message = "the body took too long";
                return Err(
                    Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_slow", message).close(),
                );
            }
        };
        // A body without a declared length asked for the most; those who wait hold no more than they fill.
        drop(budget.split(budget.num_permits().saturating_sub(kib(bytes.len()))));
        Ok(Taken { bytes, budget })
    }
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWhole {
    /// It has more bytes than it may.
    #[error("it is too long")]
    TooLong,
    /// It broke off.
    #[error("it broke off")]
    Broken,
}

/// All bytes of a body, of which there may be `most`, in one piece: a body that comes byte by byte takes no more memory
/// than another.
///
/// # Errors
/// [`NotWhole`].
pub async fn whole<B>(mut body: B, most: usize) -> Result<Bytes, NotWhole>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let declared = body.size_hint().exact().unwrap_or_default();
    let declared = most.min(usize::try_from(declared).unwrap_or(most));
    let mut bytes = Vec::with_capacity(declared + SPARE);
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(|_| NotWhole::Broken)?.into_data();
        let data = data.unwrap_or_default();
        if bytes.len() + data.len() > most {
            return Err(NotWhole::TooLong);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

/// Bytes as whole KiB, at least one.
#[must_use]
pub fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024).max(1)
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    fn body(pieces: &[&'static str]) -> impl http_body::Body<Data = Bytes> + Unpin + use<> {
        let frames: Vec<_> = pieces
            .iter()
            .map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(piece.as_bytes()))))
            .collect();
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn pieces_become_one_until_there_are_too_many() {
        assert_eq!(whole(body(&["a", "", "bc"]), 3).await.unwrap(), "abc");
        assert_eq!(whole(body(&[]), 0).await.unwrap(), "");
        assert_eq!(whole(body(&["ab", "cd"]), 3).await, Err(NotWhole::TooLong));
    }
}
