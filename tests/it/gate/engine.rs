//! An engine played by the test: what of llama-server's and Ollama's HTTP the gate relies on.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

/// The answer that is not streamed.
pub const ANSWER: &str = r#"{"choices":[{"text":"Paris"}],"usage":{"completion_tokens":2,"prompt_tokens":7,"total_tokens":9}}"#;

/// A chunk of an answer, or the engine's death.
pub type Chunk = Result<Frame<Bytes>, std::io::Error>;

/// What the engine saw and is told.
#[derive(Default)]
pub struct Seen {
    /// Method, path, sorted header names and body of each request but health checks.
    pub requests: Mutex<Vec<(String, Vec<String>, String)>>,
    /// Loading until this is set.
    pub loaded: Mutex<bool>,
    /// Type and body of the next streamed answer.
    stream: Mutex<Option<(&'static str, mpsc::Receiver<Chunk>)>>,
    /// Status and body of the next answer in one piece.
    piece: Mutex<Option<(u16, String)>>,
    /// What everybody gets who asks for more than its health, the gate too.
    lie: Mutex<Option<Lie>>,
}

/// How it lies.
#[derive(Clone, Copy, Debug)]
pub enum Lie {
    /// With this status and body.
    Says(u16, &'static str),
    /// By nothing at all.
    Silence,
    /// By half an answer that it does not go on with.
    Half(&'static str),
}

pub struct Engine(pub Arc<Seen>);

impl Engine {
    pub fn start(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        let engine = Self::loaded();
        let seen = Arc::clone(&engine.0);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(connection(stream, Arc::clone(&seen)));
            }
        });
        engine
    }

    /// On a port of 127.0.0.1.
    pub async fn start_on_a_port() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let engine = Self::loaded();
        let seen = Arc::clone(&engine.0);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(connection(stream, Arc::clone(&seen)));
            }
        });
        (engine, port)
    }

    fn loaded() -> Self {
        let seen = Seen::default();
        *seen.loaded.lock().unwrap() = true;
        Self(Arc::new(seen))
    }

    /// The next answer is streamed from this sender; it reports `closed` when the gate hangs up.
    pub fn stream(&self) -> mpsc::Sender<Chunk> {
        self.stream_of("text/event-stream")
    }

    /// The same with a content type.
    pub fn stream_of(&self, kind: &'static str) -> mpsc::Sender<Chunk> {
        let (sender, receiver) = mpsc::channel(1);
        *self.0.stream.lock().unwrap() = Some((kind, receiver));
        sender
    }

    /// The next answer, in one piece.
    pub fn answer(&self, status: u16, body: &str) {
        *self.0.piece.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// From now on it lies, or tells the truth again.
    pub fn lies(&self, lie: Option<Lie>) {
        *self.0.lie.lock().unwrap() = lie;
    }

    /// How often the gate asked its own question.
    pub fn warm_ups(&self) -> usize {
        let all = self.0.requests.lock().unwrap();
        all.iter().filter(|(.., body)| is_warm_up(body)).count()
    }

    /// Requests that were no warm-up.
    pub fn requests(&self) -> Vec<(String, Vec<String>, String)> {
        let all = self.0.requests.lock().unwrap();
        all.iter()
            .filter(|(_, _, body)| !is_warm_up(body))
            .cloned()
            .collect()
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, seen: Arc<Seen>) {
    let service = service_fn(move |request| serve(Arc::clone(&seen), request));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The gate's own question, in every mode.
fn is_warm_up(body: &str) -> bool {
    let marks = [
        r#""prompt":"Hello""#,
        r#""input":"Hello""#,
        r#""query":"Hello""#,
    ];
    marks.iter().any(|mark| body.contains(mark))
}

pub fn chunk(text: &str) -> Chunk {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

async fn serve(
    seen: Arc<Seen>,
    request: Request<Incoming>,
) -> Result<Response<UnsyncBoxBody<Bytes, std::io::Error>>, Infallible> {
    let path = request.uri().path().to_owned();
    let line = format!("{} {}", request.method(), request.uri());
    let full = |text: &str| {
        Full::new(Bytes::copy_from_slice(text.as_bytes()))
            .map_err(|never| match never {})
            .boxed_unsync()
    };
    match path.as_str() {
        "/health" => {
            let loaded = *seen.loaded.lock().unwrap();
            let mut response = Response::new(full("{}"));
            if !loaded {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            return Ok(response);
        }
        "/api/version" => return Ok(Response::new(full(r#"{"version":"0.17.4"}"#))),
        "/metrics" => {
            return Ok(Response::new(full(
                "llamacpp:prompt_tokens_total 31\nllamacpp:tokens_predicted_total 17\n",
            )));
        }
        _ => {}
    }
    let mut names: Vec<String> = request
        .headers()
        .keys()
        .map(|name| name.to_string())
        .collect();
    names.sort();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    let warm_up = is_warm_up(&body);
    seen.requests.lock().unwrap().push((line, names, body));
    let lie = *seen.lie.lock().unwrap();
    match lie {
        Some(Lie::Says(status, text)) => {
            let mut response = Response::new(full(text));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            return Ok(response);
        }
        Some(Lie::Silence) => std::future::pending().await,
        Some(Lie::Half(text)) => {
            let begun = futures::stream::iter([chunk(text)]);
            let rest = futures::stream::pending();
            let body = StreamBody::new(futures::StreamExt::chain(begun, rest));
            return Ok(Response::new(BodyExt::boxed_unsync(body)));
        }
        None => {}
    }
    let stream = (!warm_up)
        .then(|| seen.stream.lock().unwrap().take())
        .flatten();
    let builder = Response::builder()
        .header("access-control-allow-origin", "*")
        .header("keep-alive", "timeout=5")
        .header("server", "llama.cpp");
    Ok(match stream {
        Some((kind, receiver)) => {
            let chunks = futures::stream::unfold(receiver, |mut receiver| async {
                receiver.recv().await.map(|frame| (frame, receiver))
            });
            let body = BodyExt::boxed_unsync(StreamBody::new(Box::pin(chunks)));
            builder.header("content-type", kind).body(body).unwrap()
        }
        None => {
            let piece = (!warm_up)
                .then(|| seen.piece.lock().unwrap().take())
                .flatten();
            let (status, text) = piece.unwrap_or((200, ANSWER.to_owned()));
            builder
                .status(status)
                .header("content-type", "application/json")
                .body(full(&text))
                .unwrap()
        }
    })
}
