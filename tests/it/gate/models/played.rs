//! A model that remembers what it was asked, and answers at once or piece by piece.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

pub type Piece = Result<Frame<Bytes>, std::io::Error>;

#[derive(Default)]
struct Seen {
    /// Path, fields and body of each request.
    requests: Mutex<Vec<(String, HeaderMap, String)>>,
    /// The next answer, piece by piece.
    stream: Mutex<Option<mpsc::Receiver<Piece>>>,
}

pub struct Model {
    pub at: SocketAddr,
    seen: Arc<Seen>,
}

impl Model {
    pub async fn start(tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let model = Self {
            at,
            seen: Arc::clone(&seen),
        };
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, tls) = (Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => talk(stream, seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, seen).await;
                            }
                        }
                    }
                });
            }
        });
        model
    }

    pub fn requests(&self) -> Vec<(String, HeaderMap, String)> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub fn stream(&self) -> mpsc::Sender<Piece> {
        let (sender, receiver) = mpsc::channel(1);
        *self.seen.stream.lock().unwrap() = Some(receiver);
        sender
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, seen: Arc<Seen>) {
    let service = service_fn(move |request| serve(Arc::clone(&seen), request));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn serve(
    seen: Arc<Seen>,
    request: Request<Incoming>,
) -> Result<Response<UnsyncBoxBody<Bytes, std::io::Error>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    let line = format!("{} {}", head.method, head.uri);
    seen.requests
        .lock()
        .unwrap()
        .push((line, head.headers, body));
    let answer = Response::builder()
        .header("content-type", "application/json")
        .header("set-cookie", "a=b")
        .header("retry-after", "7");
    let stream = seen.stream.lock().unwrap().take();
    Ok(match stream {
        Some(receiver) => {
            let pieces = futures::stream::unfold(receiver, |mut receiver| async {
                receiver.recv().await.map(|piece| (piece, receiver))
            });
            answer.body(StreamBody::new(Box::pin(pieces)).boxed_unsync())
        }
        None => {
            let body = Full::new(Bytes::from_static(b"{\"choices\":[]}"));
            answer.body(body.map_err(|never| match never {}).boxed_unsync())
        }
    }
    .unwrap())
}

/// To be sent as a piece of an answer.
pub fn piece(text: &str) -> Piece {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}
