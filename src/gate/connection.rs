//! One connection of a port: from its first byte to its end, and what becomes of each request on it.

use std::convert::Infallible;
use std::error::Error;
use std::sync::{Arc, OnceLock};

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::answer::{Body, Refusal, whole};
use super::arriving::Arriving;
use super::client::Client;
use super::doors::{self, ClientIo, Door};
use super::listen::{Limits, MAX_HEAD, Speaks, Unwarned};
use super::rejected::{Reason, Rejected};
use super::streams::{self, Streams};

/// Most header fields.
const MAX_FIELDS: usize = 64;

/// What a connection counts by from its first request on.
type Carries = OnceLock<Option<Arc<()>>>;

/// What a connection knows of its port.
pub(super) struct Port {
    pub(super) limits: Limits,
    pub(super) speaks: Speaks,
    /// Streams of HTTP/2 at once, over all connections.
    pub(super) streams: Arc<Semaphore>,
    pub(super) rejected: Rejected,
}

impl Port {
    /// Serves one until it ends.
    pub(super) async fn connection<H, F>(&self, stream: &Arc<TcpStream>, door: &Door, handle: H)
    where
        H: Fn(Request<Arriving>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        // Tokens of a stream leave one by one.
        let _ = stream.set_nodelay(true);
        // Who has vanished acknowledges nothing. The kernel would wait for a quarter of an hour for that; who only takes
        // nothing is given up sooner, below.
        let unheard = u32::try_from(2 * self.limits.reader.as_millis()).unwrap_or(u32::MAX);
        let _ = setsockopt(stream.as_ref(), TcpUserTimeout, &unheard);
        let given_up = CancellationToken::new();
        let io = ClientIo::new(Arc::clone(stream), given_up.clone(), self.limits.reader);
        // From the first request until the client has had time to take the last answer.
        let carries = OnceLock::new();
        let talk = async {
            match &self.speaks {
                Speaks::Both(Some(tls)) => {
                    if let Some(io) = tls.accept(io).await {
                        self.talk(io, door, (&carries, &given_up), handle).await;
                    } else {
                        self.rejected.count(Reason::Handshake);
                    }
                }
                Speaks::Http1 | Speaks::Both(None) => {
                    self.talk(io, door, (&carries, &given_up), handle).await;
                }
            }
        };
        tokio::select! {
            biased;
            () = talk => {}
            () = doors::gone(stream) => given_up.cancel(),
        }
        if given_up.is_cancelled() {
            doors::reset(stream);
        } else {
            doors::linger(stream).await;
        }
    }

    async fn talk<I, H, F>(
        &self,
        io: I,
        door: &Door,
        (carries, given_up): (&Carries, &CancellationToken),
        handle: H,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + 'static,
        H: Fn(Request<Arriving>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let client = Arc::new(Client::default());
        let ended = CancellationToken::new();
        let _ends = ended.clone().drop_guard();
        let builder = self.builder(Streams::new(ended, self.limits.reader));
        let service = service_fn(|request: Request<Incoming>| {
            carries.get_or_init(|| door.carries());
            let mut turn = client.enter(request.version());
            let (handle, streams) = (handle.clone(), Arc::clone(&self.streams));
            let rejected = self.rejected.clone();
            let leave = door.leave.clone();
            let mut request = request.map(Arriving::new);
            let rest = request.body().rest();
            async move {
                if !turn.is_stream {
                    if !turn.first {
                        request.extensions_mut().insert(Unwarned);
                    }
                    let mut answer = handle(request).await;
                    // What is left of the body would be taken for the next request, so the connection ends, and the
                    // client is told, or it sends that one in vain (RFC 9112, section 9.6).
                    if leave.is_cancelled() || !rest.is_read() {
                        let close = HeaderValue::from_static("close");
                        answer.headers_mut().insert(header::CONNECTION, close);
                    }
                    return Ok::<_, Infallible>(turn.answer(answer));
                }
                turn.place = streams.try_acquire_owned().ok();
                let head = request.method() == Method::HEAD;
                let mut answer = if turn.place.is_none() {
                    rejected.count(Reason::Streams);
                    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many streams")
                        .retry(1)
                        .into_response()
                } else if request.headers().len() > MAX_FIELDS {
                    rejected.count(Reason::HeadTooLarge);
                    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                    Refusal::new(status, "head_too_large", "too many header fields").into_response()
                } else {
                    // Streams that are refused above stay small.
                    Box::pin(handle(request)).await
                };
                if head {
                    *answer.body_mut() = whole("");
                }
                Ok(turn.answer(answer))
            }
        });
        let connection = builder.serve_connection(TokioIo::new(io), service);
        tokio::pin!(connection);
        let mut leaves = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        self.rejected.ended(&*error, carries.get().is_some());
                        if client.ends_by_closing() && is_within_answer(&*error) {
                            given_up.cancel();
                        }
                    }
                    return;
                }
                () = client.abuses() => {
                    self.rejected.count(Reason::Http2);
                    return given_up.cancel();
                }
                () = client.idle_for(self.limits.reader), if leaves => return given_up.cancel(),
                () = client.idle_for(self.limits.head), if !leaves => {}
                () = client.leaves(door), if !leaves => {}
            }
            leaves = true;
            connection.as_mut().graceful_shutdown();
        }
    }

    fn builder(&self, streams: Streams) -> auto::Builder<Streams> {
        let mut builder = auto::Builder::new(streams);
        if matches!(self.speaks, Speaks::Http1) {
            builder = builder.http1_only();
        }
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_headers(MAX_FIELDS)
            // A head must fit in.
            .max_buf_size(MAX_HEAD);
        streams::limit(&mut builder, self.limits.connections);
        builder
    }
}

/// Whether an answer was under way when its connection ended with this error. Behind the last one only a head is waited
/// for, and what the kernel still holds of that answer is to arrive.
fn is_within_answer(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_none_or(|error| !error.is_timeout() && !error.is_parse())
}
