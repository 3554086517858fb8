//! The engine's end: HTTP/1 over its Unix socket or its port on loopback, a connection per request.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::bodies::whole;
use super::listen::MAX_HEAD;

/// To reach the engine.
const CONNECT: Duration = Duration::from_secs(2);

/// Why the engine gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It cannot be reached.
    #[error("failed to reach the engine: {0}")]
    Connect(#[from] io::Error),
    /// It broke HTTP or the connection.
    #[error("failed to hear the engine: {0}")]
    Http(#[from] hyper::Error),
    /// It took too long.
    #[error("failed to hear the engine in time")]
    Timeout(#[from] tokio::time::error::Elapsed),
    /// A body that the gate reads itself is too long.
    #[error("failed to read the engine's answer: too long")]
    TooLong,
}

/// Where the engine listens.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// On this socket.
    Unix(PathBuf),
    /// On this port of 127.0.0.1.
    Tcp(u16),
}

impl Upstream {
    /// What requests name as the host: with the port, where it is not the usual one (RFC 9110, 7.2). Servers on
    /// loopback that keep DNS rebinding out refuse everything else.
    fn host(&self) -> HeaderValue {
        let with_port = |port: &u16| HeaderValue::from_str(&format!("localhost:{port}")).ok();
        let host = match self {
            Self::Unix(_) => None,
            Self::Tcp(port) => with_port(port),
        };
        host.unwrap_or(HeaderValue::from_static("localhost"))
    }
}

/// What a connection is for, and what drives it.
pub type Spoken<B> = (http1::SendRequest<B>, AbortOnDropHandle<()>);

/// Begins HTTP/1.1 over a connection, with a bounded buffer. It ends when its driver is dropped.
///
/// # Errors
/// The other side breaks HTTP.
pub async fn handshake<B, S>(stream: S) -> Result<Spoken<B>, hyper::Error>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        // A head must fit in; of an answer, no more than this waits for the client to take it.
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await?;
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok((sender, AbortOnDropHandle::new(driver)))
}

/// An answer and the connection that it comes over, which ends when this is dropped: the engine sees that
/// nobody listens and stops.
#[derive(Debug)]
pub struct Answer {
    /// Its head and body.
    pub response: Response<Incoming>,
    /// Drives the connection.
    pub driver: AbortOnDropHandle<()>,
}

impl Upstream {
    /// Sends a request; only what is given here reaches the engine, nothing of the client's headers.
    ///
    /// # Errors
    /// The engine cannot be reached, breaks off, or sends no head within `patience`.
    pub async fn send(
        &self,
        method: Method,
        path: &'static str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Answer, UpstreamError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(path);
        self.request(request, patience).await
    }

    /// Sends a request with these fields, beside those of a JSON body for a server on this host.
    ///
    /// # Errors
    /// As [`Upstream::send`].
    pub async fn request(
        &self,
        mut request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Answer, UpstreamError> {
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host());
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let (mut sender, driver) = match self {
            Self::Unix(path) => {
                handshake(timeout(CONNECT, UnixStream::connect(path)).await??).await?
            }
            Self::Tcp(port) => {
                let at = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
                let stream = timeout(CONNECT, TcpStream::connect(at)).await??;
                stream.set_nodelay(true)?;
                handshake(stream).await?
            }
        };
        let response = timeout(patience, sender.send_request(request)).await??;
        Ok(Answer { response, driver })
    }

    /// Sends a request and reads the whole answer, at most `limit` bytes, within `patience`.
    ///
    /// # Errors
    /// As [`Upstream::send`], or the body is too long.
    pub async fn ask(
        &self,
        method: Method,
        path: &'static str,
        body: Bytes,
        limit: usize,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), UpstreamError> {
        let asked = async {
            let answer = self.send(method, path, body, patience).await?;
            let status = answer.response.status();
            let body = whole(answer.response.into_body(), limit).await;
            Ok((status, body.map_err(|_| UpstreamError::TooLong)?))
        };
        timeout(patience, asked).await?
    }
}
