//! HTTP/2: what the streams of one connection may hold, and how they end.
//!
//! A stream lives in a task of its own. It ends with its connection, with the client's reset (RFC 9113, section
//! 5.4.2), or when the client grants its answer no window for too long.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, Version, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::{Body, BodyError};
use super::doors::Door;
use super::listen::MAX_HEAD;

/// Streams of one connection at once.
pub const MAX_STREAMS: u32 = 64;
/// Most bytes of requests' bodies that nobody has read yet, in one stream. A connection has twice as many.
pub const STREAM_WINDOW: u32 = 64 * 1024;
/// The same in all streams together, of which a port has as many as connections.
const WINDOWS: usize = 48 * 1024 * 1024;
/// Largest frame: the least that RFC 9113 allows. No window is smaller.
const MAX_FRAME: u32 = 16 * 1024;
/// Bytes of an answer that wait in a stream, and how much is given to it at once.
const PIECE: usize = 4 * 1024;
/// Streams that were reset before anybody looked at them, or by our own errors, before the connection ends.
const MAX_PENDING_RESETS: usize = 20;
/// How many more streams a client may break off than it hears to their end.
const MAX_BROKEN_OFF: usize = 100;
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
struct Waits(Mutex<Option<Instant>>);

impl Waits {
    fn set(&self, since: Option<Instant>) {
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

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Of the first request.
    version: Option<Version>,
    under_way: usize,
    broken_off: usize,
    leave: bool,
}

impl State {
    /// HTTP/1 keeps the time of its connections itself.
    fn idle(&self) -> bool {
        self.version.is_none() || (self.version == Some(Version::HTTP_2) && self.under_way == 0)
    }
}

/// One connection, as its requests have left it.
#[derive(Debug, Default)]
pub struct Client(watch::Sender<State>);

impl Client {
    /// Takes a request of this version; a stream's turn ends with what this gives.
    pub fn enter(self: &Arc<Self>, version: Version) -> Option<Turn> {
        let stream = version == Version::HTTP_2;
        self.0.send_if_modified(|state| {
            state.under_way += usize::from(stream);
            state.version.replace(version) != Some(version) || stream
        });
        stream.then(|| Turn {
            client: Arc::clone(self),
            place: None,
            whole: false,
        })
    }

    /// Whether an answer without a length ends with its connection, as in HTTP/1.0: then only a reset tells one that
    /// broke off from a whole one (RFC 9112, section 8).
    #[must_use]
    pub fn ends_by_closing(&self) -> bool {
        self.0.borrow().version == Some(Version::HTTP_10)
    }

    /// Ends when no request was under way for `time`.
    pub async fn idle_for(&self, time: Duration) {
        let mut state = self.0.subscribe();
        loop {
            let _ = state.wait_for(State::idle).await;
            let busy = timeout(time, state.wait_for(|state| !state.idle())).await;
            if busy.is_err() {
                return;
            }
        }
    }

    /// Ends when the connection is to carry no more requests.
    ///
    /// HTTP/2 can be told, and what crosses that word is still served (RFC 9113, section 6.8). HTTP/1 has that word
    /// in answers only, so that it comes with the next one, and a connection without any ends last.
    pub async fn leaves(&self, door: &Door) {
        let spoken = async |told: &CancellationToken, fits: fn(Version) -> bool| {
            told.cancelled().await;
            // Of a connection that has said nothing yet, the first request may be on its way.
            let known = |state: &State| state.version.is_some_and(fits);
            let _ = self.0.subscribe().wait_for(known).await;
        };
        let mut state = self.0.subscribe();
        tokio::select! {
            () = spoken(&door.leave, |version| version == Version::HTTP_2) => {}
            () = spoken(&door.close, |_| true) => {}
            _ = state.wait_for(|state| state.leave) => {}
        }
    }

    /// Ends when the client has broken too many streams off (CVE-2023-44487): each costs us more than it.
    pub async fn abuses(&self) {
        let mut state = self.0.subscribe();
        let _ = state
            .wait_for(|state| state.broken_off > MAX_BROKEN_OFF)
            .await;
    }
}

/// A stream under way.
#[derive(Debug)]
pub struct Turn {
    client: Arc<Client>,
    /// Among the streams of all connections.
    pub place: Option<OwnedSemaphorePermit>,
    whole: bool,
}

impl Turn {
    /// The answer of this turn, in pieces. One that is about the pod and ends an HTTP/1 connection makes this
    /// one leave too; the others are about one stream only.
    #[must_use]
    pub fn answer(self, answer: Response<Body>) -> Response<Body> {
        let (mut head, body) = answer.into_parts();
        let closes = head.headers.remove(header::CONNECTION).is_some();
        if closes && head.status == StatusCode::SERVICE_UNAVAILABLE {
            self.client.0.send_modify(|state| state.leave = true);
        }
        let waits = WAITS.try_with(Arc::clone).unwrap_or_default();
        waits.set(Some(Instant::now()));
        let pieces = Pieces {
            body,
            rest: Bytes::new(),
            waits,
            turn: self,
        };
        Response::from_parts(head, pieces.boxed_unsync())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.client.0.send_modify(|state| {
            state.under_way = state.under_way.saturating_sub(1);
            state.broken_off = if self.whole {
                state.broken_off.saturating_sub(1)
            } else {
                state.broken_off + 1
            };
        });
    }
}

/// A body in pieces, so that little of it waits in the stream.
struct Pieces {
    body: Body,
    rest: Bytes,
    waits: Arc<Waits>,
    turn: Turn,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.waits.set(None);
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Some(Err(error)) => {
                    this.turn.whole = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.turn.whole = true;
                    return Poll::Ready(None);
                }
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        this.waits.set(Some(Instant::now()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::answer::{Refusal, whole};

    fn state(client: &Client) -> (usize, usize, bool) {
        let state = client.0.borrow();
        (state.under_way, state.broken_off, state.leave)
    }

    #[tokio::test]
    async fn an_answer_comes_in_pieces_and_ends_its_turn() {
        let client = Arc::new(Client::default());
        let turn = client.enter(Version::HTTP_2).unwrap();
        let mut body = turn.answer(Response::new(whole(vec![7; 9000]))).into_body();
        let mut lengths = Vec::new();
        while let Some(frame) = body.frame().await {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!(lengths, [4096, 4096, 808]);
        assert_eq!(state(&client), (1, 0, false));
        drop(body);
        assert_eq!(state(&client), (0, 0, false));
    }

    #[test]
    fn turns_that_are_broken_off_are_counted() {
        let client = Arc::new(Client::default());
        for _ in 0..3 {
            drop(client.enter(Version::HTTP_2));
        }
        assert_eq!(state(&client), (0, 3, false));
        assert!(client.enter(Version::HTTP_11).is_none());
    }

    #[rstest::rstest]
    #[case::the_pod_ends(StatusCode::SERVICE_UNAVAILABLE, true)]
    #[case::one_body_is_too_large(StatusCode::PAYLOAD_TOO_LARGE, false)]
    fn only_the_pod_ends_a_connection(#[case] status: StatusCode, #[case] leaves: bool) {
        let client = Arc::new(Client::default());
        let turn = client.enter(Version::HTTP_2).unwrap();
        let refusal = Refusal::new(status, "x", "x").close().into_response();
        let answer = turn.answer(refusal);
        assert!(!answer.headers().contains_key(header::CONNECTION));
        assert_eq!(state(&client).2, leaves);
    }

    #[rstest::rstest]
    #[case::by_default(2 * (2 + 256) + 64, 64 * 1024)]
    #[case::many(2 * (256 + 512) + 64, 31_457)]
    #[case::as_many_as_there_may_be(2 * (1024 + 512) + 64, 16 * 1024)]
    #[case::one(1, 64 * 1024)]
    fn windows_share_a_bounded_memory(#[case] streams: usize, #[case] expected: u32) {
        assert_eq!(window(streams), expected);
    }

    #[test]
    fn only_an_answer_of_http_1_0_ends_by_closing() {
        for (version, expected) in [
            (Version::HTTP_10, true),
            (Version::HTTP_11, false),
            (Version::HTTP_2, false),
        ] {
            let client = Arc::new(Client::default());
            assert!(!client.ends_by_closing(), "nothing was asked yet");
            let turn = client.enter(version);
            assert_eq!(client.ends_by_closing(), expected, "{version:?}");
            drop(turn);
        }
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
