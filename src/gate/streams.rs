//! The streams of HTTP/2 of one connection: what they may hold, and how they end.
//!
//! A stream lives in a task of its own. It ends with its connection, with the client's reset (RFC 9113, section 5.4.2), or
//! when the client grants its answer no window for too long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::listen::MAX_HEAD;

/// Streams of one connection at once.
pub const MAX_STREAMS: u32 = 64;
/// Most bytes of requests' bodies that nobody has read yet, in one stream. A connection has twice as many.
pub const STREAM_WINDOW: u32 = 64 * 1024;
/// The same in all streams together, of which a port has as many as connections.
const WINDOWS: usize = 48 * 1024 * 1024;
/// Largest frame: the least that RFC 9113 allows. No window is smaller.
const MAX_FRAME: u32 = 16 * 1024;
/// Streams that were reset before anybody looked at them, or by our own errors, before the connection ends.
const MAX_PENDING_RESETS: usize = 20;
/// Bytes of an answer that wait in a stream, and how much is given to it at once.
pub(super) const PIECE: usize = 4 * 1024;
/// Between two pings, and for their answer.
const PING: Duration = Duration::from_secs(20);

/// Sets the limits of HTTP/2 on a port that may have so many streams.
pub fn limit(builder: &mut auto::Builder<Streams>, streams: usize) {
    let window = window(streams);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_frame_size(MAX_FRAME)
        .initial_stream_window_size(window)
        .initial_connection_window_size(2 * window)
        .max_send_buf_size(PIECE)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_PENDING_RESETS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
}

/// Of each of so many streams.
fn window(streams: usize) -> u32 {
    let each = u32::try_from(WINDOWS / streams.max(1)).unwrap_or(u32::MAX);
    each.clamp(MAX_FRAME, STREAM_WINDOW)
}

tokio::task_local! {
    /// Of the stream whose task this is.
    static WAITS: Arc<Waits>;
}

/// Since when a stream waits for its client to make room for an answer.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<Option<Instant>>);

impl Waits {
    /// Those of the stream whose task this is; in another task, of none.
    pub(super) fn of_this_stream() -> Arc<Self> {
        WAITS.try_with(Arc::clone).unwrap_or_default()
    }

    /// Notes since when, or that it does not wait.
    pub(super) fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Ends when the client has made no room for `patience`, at most twice that later.
    async fn too_long(&self, patience: Duration) {
        loop {
            let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match since {
                None => sleep(patience).await,
                Some(at) if at.elapsed() >= patience => return,
                Some(at) => sleep_until(at + patience).await,
            }
        }
    }
}

/// Runs the streams of one connection.
#[derive(Clone, Debug)]
pub struct Streams {
    ended: CancellationToken,
    patience: Duration,
}

impl Streams {
    /// All end with `ended`; `patience` is how long a client may make no room for an answer.
    #[must_use]
    pub fn new(ended: CancellationToken, patience: Duration) -> Self {
        Self { ended, patience }
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let Self { ended, patience } = self.clone();
        TokioExecutor::new().execute(async move {
            let waits = Arc::new(Waits::default());
            tokio::select! {
                () = ended.cancelled() => {}
                () = waits.too_long(patience) => {}
                () = WAITS.scope(Arc::clone(&waits), stream) => {}
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[rstest::rstest]
    #[case::by_default(2 * (2 + 256) + 64, 64 * 1024)]
    #[case::many(2 * (256 + 512) + 64, 31_457)]
    #[case::as_many_as_there_may_be(2 * (1024 + 512) + 64, 16 * 1024)]
    #[case::one(1, 64 * 1024)]
    fn windows_share_a_bounded_memory(#[case] streams: usize, #[case] expected: u32) {
        assert_eq!(window(streams), expected);
    }

    #[tokio::test]
    async fn a_client_that_makes_no_room_is_given_up() {
        let waits = Waits::default();
        let patience = Duration::from_millis(20);
        let given_up = timeout(10 * patience, waits.too_long(patience));
        assert!(given_up.await.is_err(), "the engine may take its time");
        waits.set(Some(Instant::now()));
        let given_up = timeout(Duration::from_secs(30), waits.too_long(patience));
        assert!(given_up.await.is_ok());
    }
}
