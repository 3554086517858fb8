//! The models that a pod's program asks through the gate, with a model played by the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::bed::{Answer, Gate, PATIENCE, get, post, raw, request};
use crate::ports::free_port;

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"assistant","messages":[]}"#;

type Piece = Result<Frame<Bytes>, std::io::Error>;

#[derive(Default)]
struct Seen {
    /// Path, fields and body of each request.
    requests: Mutex<Vec<(String, HeaderMap, String)>>,
    /// The next answer, piece by piece.
    stream: Mutex<Option<mpsc::Receiver<Piece>>>,
}

struct Model {
    at: SocketAddr,
    seen: Arc<Seen>,
}

impl Model {
    async fn start(tls: Option<ServerConfig>) -> Self {
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

    fn requests(&self) -> Vec<(String, HeaderMap, String)> {
        self.seen.requests.lock().unwrap().clone()
    }

    fn stream(&self) -> mpsc::Sender<Piece> {
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

/// A gate with one model, and the port at which it offers it.
struct Pod {
    gate: Gate,
    offered: SocketAddr,
    secret: TempDir,
}

impl Pod {
    async fn start(model: SocketAddr, scheme: &str, more: &str) -> Self {
        let secret = tempfile::tempdir().unwrap();
        let offered = free_port();
        let key = secret.path().join("value");
        let flag = format!(
            "name=assistant,port={},url={scheme}://{model}/base/v1,key={}{more}",
            offered.port(),
            key.display()
        );
        let gate = Gate::start(&["--mcp-model", &flag]).await;
        Self {
            gate,
            offered,
            secret,
        }
    }

    /// Proven, and with this key.
    async fn with_key(model: SocketAddr, key: &str) -> Self {
        let mut pod = Self::start(model, "http", "").await;
        pod.key(key).await;
        pod.gate.prove().await;
        pod
    }

    /// Another key, until the gate has it.
    async fn key(&self, key: &str) {
        std::fs::write(self.secret.path().join("value"), key).unwrap();
        sleep(Duration::from_millis(2_500)).await;
    }

    async fn ask(&self) -> Answer {
        post(
            self.offered,
            CHAT,
            BODY,
            "authorization: Bearer of-the-program\r\ncookie: a=b\r\ncontent-type: application/json\r\nx-more: 1\r\n",
        )
        .await
    }
}

#[tokio::test]
async fn the_gate_adds_the_key_and_strips_the_programs_own() {
    let model = Model::start(None).await;
    let pod = Pod::with_key(model.at, "secret-1\n").await;
    let answer = pod.ask().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body, r#"{"choices":[]}"#);
    assert!(answer.head.contains("retry-after: 7"), "{}", answer.head);
    assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    let (line, fields, body) = model.requests().remove(0);
    assert_eq!(line, "POST /base/v1/chat/completions");
    assert_eq!(fields["authorization"], "Bearer secret-1");
    assert_eq!(fields["host"], model.at.to_string());
    assert_eq!(body, BODY);
    for name in ["cookie", "x-more", "connection"] {
        assert!(!fields.contains_key(name), "{fields:?}");
    }

    // A changed key needs no restart; one that is gone is not replaced by the program's.
    pod.key("secret-2").await;
    pod.ask().await;
    assert_eq!(model.requests()[1].1["authorization"], "Bearer secret-2");
    pod.key("").await;
    let answer = pod.ask().await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("SecretMissing"), "{}", answer.body);
    assert_eq!(model.requests().len(), 2);

    let metrics = get(pod.gate.metrics, "/metrics").await.body;
    for (code, count) in [(200, 2), (503, 1)] {
        let line = format!(
            "sealroom_gate_model_requests_total{{model=\"assistant\",code=\"{code}\"}} {count}"
        );
        assert!(metrics.contains(&line), "{metrics}");
    }
    let none = "sealroom_gate_model_in_flight{model=\"assistant\"} 0";
    assert!(metrics.contains(none), "{metrics}");
}

#[tokio::test]
async fn nothing_leaves_while_the_seal_is_not_proven() {
    let model = Model::start(None).await;
    let mut pod = Pod::start(model.at, "http", "").await;
    pod.key("secret").await;
    let answer = pod.ask().await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("NotProven"), "{}", answer.body);

    pod.gate.prove().await;
    let pieces = model.stream();
    let mut program = TcpStream::connect(pod.offered).await.unwrap();
    let sent = request(CHAT, BODY, "");
    program.write_all(sent.as_bytes()).await.unwrap();
    pieces.send(piece("first")).await.unwrap();
    until(&mut program, "first").await;

    // The stream is cut, the model sees that nobody listens, and nothing new begins.
    pod.gate.order_open("EgressOpen").await;
    let mut rest = Vec::new();
    let cut = timeout(PATIENCE, program.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(cut.is_err(), "{cut:?}");
    timeout(PATIENCE, pieces.closed()).await.unwrap();
    let answer = pod.ask().await;
    assert!(answer.body.contains("EgressOpen"), "{}", answer.body);
    assert_eq!(model.requests().len(), 1);
}

#[tokio::test]
async fn only_the_openai_routes_lead_out() {
    let model = Model::start(None).await;
    let pod = Pod::with_key(model.at, "secret").await;
    for (line, status) in [
        ("GET /v1/models", 200),
        ("POST /v1/embeddings", 200),
        ("GET /v1/chat/completions", 404),
        ("POST /v1/files", 404),
        ("GET /metrics", 404),
        ("POST /v1/../admin", 404),
        ("POST /v1/chat/completions?key=a", 400),
        ("GET http://192.0.2.1/v1/models", 400),
        ("CONNECT 192.0.2.1:443", 400),
    ] {
        let text =
            format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let answer = raw(pod.offered, &text).await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
    }
    let lines: Vec<String> = model
        .requests()
        .into_iter()
        .map(|(line, ..)| line)
        .collect();
    assert_eq!(lines, ["GET /base/v1/models", "POST /base/v1/embeddings"]);
}

/// Each piece is there before the model sends the next, and the model sees the program go.
#[tokio::test]
async fn answers_stream() {
    let model = Model::start(None).await;
    let pod = Pod::with_key(model.at, "secret").await;
    let pieces = model.stream();
    let mut program = TcpStream::connect(pod.offered).await.unwrap();
    program
        .write_all(request(CHAT, BODY, "").as_bytes())
        .await
        .unwrap();
    for text in ["one", "two", "three"] {
        pieces.send(piece(text)).await.unwrap();
        until(&mut program, text).await;
    }
    drop(program);
    timeout(PATIENCE, pieces.closed()).await.unwrap();
}

#[tokio::test]
async fn what_goes_wrong_is_said_without_the_networks_words() {
    let gone = free_port();
    let pod = Pod::with_key(gone, "secret").await;
    let answer = pod.ask().await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("assistant gave no answer"));
    assert!(
        !answer.body.contains(&gone.port().to_string()),
        "{answer:?}"
    );

    // A body without an end in sight is broken off, and one that says its size is not read at all.
    let model = Model::start(None).await;
    let pod = Pod::with_key(model.at, "secret").await;
    let declared = "content-length: 16777217\r\nconnection: close\r\n\r\n";
    let answer = raw(
        pod.offered,
        &format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\n{declared}"),
    )
    .await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let mut program = TcpStream::connect(pod.offered).await.unwrap();
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    program.write_all(head.as_bytes()).await.unwrap();
    let (reading, mut writing) = program.into_split();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // Whether the answer is read or the connection is reset first is the network's choice.
    for _ in 0..300 {
        if writing.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let line = "sealroom_gate_model_requests_total{model=\"assistant\",code=\"413\"} 2";
    let begun = std::time::Instant::now();
    while !get(pod.gate.metrics, "/metrics").await.body.contains(line) {
        assert!(begun.elapsed() < PATIENCE, "the flood was not refused");
        sleep(Duration::from_millis(50)).await;
    }
    drop((reading, writing));
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn a_model_with_tls_is_checked() {
    let ca = Ca::new();
    let model = Model::start(Some(ca.serve("assistant.team-a.svc"))).await;
    let imposter = Model::start(Some(Ca::new().serve("assistant.team-a.svc"))).await;
    let renamed = Model::start(Some(ca.serve("other.team-a.svc"))).await;
    for (model, status) in [(&model, 200), (&imposter, 502), (&renamed, 502)] {
        let dir = tempfile::tempdir().unwrap();
        let file = ca.lay(dir.path());
        let more = format!(",host=assistant.team-a.svc,ca={}", file.display());
        let mut pod = Pod::start(model.at, "https", &more).await;
        pod.key("secret").await;
        pod.gate.prove().await;
        let answer = pod.ask().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(model.requests().len(), usize::from(status == 200));
    }
}

struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn lay(&self, dir: &Path) -> PathBuf {
        let file = dir.join("value");
        std::fs::write(&file, &self.pem).unwrap();
        file
    }

    fn serve(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap()
    }
}

fn piece(text: &str) -> Piece {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

/// Reads until the text has come.
async fn until(program: &mut TcpStream, text: &str) {
    let mut all = String::new();
    let mut chunk = [0; 4096];
    while !all.contains(text) {
        let count = timeout(PATIENCE, program.read(&mut chunk))
            .await
            .unwrap()
            .unwrap();
        assert!(count > 0, "no {text} in {all}");
        all.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
}
