//! An engine that costs nothing: what of llama-server's HTTP the gate relies on, answered at once.

use std::convert::Infallible;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval_at};

use super::events::{Ask, EVENTS, answer, event};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// It listens until this is dropped.
#[derive(Debug)]
pub struct Engine {
    _stop: oneshot::Sender<()>,
}

impl Engine {
    /// On a Unix socket, with a thread of its own; its events count time from `origin`.
    ///
    /// # Errors
    /// When the socket cannot be bound or the thread not started.
    pub fn start(socket: &Path, origin: Instant) -> Result<Self> {
        let listener = StdListener::bind(socket).context("failed to bind the engine's socket")?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        ended = listen(listener, origin) => ended,
                        _ = stopped => Ok(()),
                    }
                })
            })
            .context("failed to start the engine")?;
        Ok(Self { _stop: stop })
    }
}

async fn listen(listener: StdListener, origin: Instant) -> std::io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let service = service_fn(move |request| serve(request, origin));
            // A client that goes in the middle is no trouble of the engine's.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Health checks and the gate's own first completion get the same answer as a client: a 200 with an object in it is all
/// they look at.
async fn serve(request: Request<Incoming>, origin: Instant) -> hyper::Result<Response<Body>> {
    let body = request.into_body().collect().await?.to_bytes();
    let ask = serde_json::from_slice::<Ask>(&body).ok();
    let (kind, body) = match ask.filter(|ask| ask.stream) {
        Some(ask) => {
            let pause = Duration::from_millis(ask.pause_ms.max(1));
            ("text/event-stream", events(pause, origin))
        }
        None => ("application/json", Full::from(answer()).boxed_unsync()),
    };
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// The first event at once, then one at each tick.
fn events(pause: Duration, origin: Instant) -> Body {
    let mut clock = interval_at(tokio::time::Instant::now() + pause, pause);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let frames = stream::unfold((0, clock), move |(count, mut clock)| async move {
        if count == EVENTS {
            return None;
        }
        // The clock counts whole milliseconds: even a first tick that is due would come late.
        if count > 0 {
            clock.tick().await;
        }
        let at = origin.elapsed().as_nanos() as u64;
        let frame = Frame::data(Bytes::from(event(at)));
        Some((Ok(frame), (count + 1, clock)))
    });
    StreamBody::new(frames).boxed_unsync()
}
