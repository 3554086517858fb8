//! HTTP/2 on the API port.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::bed::{Gate, PATIENCE, binary, post};
use super::engine::{ANSWER, chunk};
use super::seal::serving;

const BODY: &str = r#"{"prompt":"x"}"#;
const COMPLETIONS: &str = "/v1/completions";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client over a connection, in the clear or not.
pub struct Client(SendRequest<Full<Bytes>>);

impl Client {
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn to(gate: &Gate) -> Self {
        Self::over(TcpStream::connect(gate.api).await.unwrap()).await
    }

    pub async fn post(&mut self, body: &str) -> hyper::Result<Response<Incoming>> {
        let body = body.to_owned().into_bytes();
        self.send(request("POST", COMPLETIONS, body)).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        timeout(PATIENCE, self.0.ready()).await.unwrap()?;
        let sent = self.0.send_request(request);
        timeout(PATIENCE, sent).await.unwrap()
    }
}

fn request(method: &str, path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("http://assistant.team-a.svc:8080{path}"))
        .body(Full::new(body.into()))
        .unwrap()
}

pub async fn text(answer: Response<Incoming>) -> String {
    let read = timeout(PATIENCE, answer.into_body().collect()).await;
    String::from_utf8(read.unwrap().unwrap().to_bytes().into()).unwrap()
}

async fn next(answer: &mut Response<Incoming>) -> Option<Bytes> {
    // The last frame may be empty.
    let frame = timeout(PATIENCE, answer.body_mut().frame()).await.unwrap();
    let data = frame.map(|frame| frame.unwrap().into_data().unwrap());
    data.filter(|data| !data.is_empty())
}

#[tokio::test]
async fn the_api_is_the_same() {
    let (mut gate, engine, _launch) = serving(&[]).await;
    let mut client = Client::to(&gate).await;
    let answer = client.post(BODY).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-request-id"].clone();
    assert_eq!(text(answer).await, ANSWER);
    assert_eq!(gate.audit_line().await["id"], id.to_str().unwrap());
    for (method, path, status) in [
        ("GET", "/v1/models", 200),
        ("HEAD", "/v1/models", 404),
        ("GET", "/v1/models?key=a", 400),
        ("GET", "//v1/models", 404),
        ("GET", "/v1/%6dodels", 404),
        ("POST", "/slots/0", 404),
    ] {
        let answer = client.send(request(method, path, Vec::new())).await;
        assert_eq!(answer.unwrap().status(), status, "{method} {path}");
    }
    assert_eq!(engine.requests().len(), 1);
}

#[tokio::test]
async fn a_reset_stream_cancels_the_engine_and_no_other_stream() {
    let (gate, engine, _launch) = serving(&[]).await;
    let mut client = Client::to(&gate).await;
    let first = engine.stream();
    let mut gone = client.post(BODY).await.unwrap();
    first.send(chunk("data: 0\n\n")).await.unwrap();
    assert_eq!(next(&mut gone).await.unwrap(), "data: 0\n\n");
    let second = engine.stream();
    let mut kept = client.post(BODY).await.unwrap();
    second.send(chunk("data: 1\n\n")).await.unwrap();
    assert_eq!(next(&mut kept).await.unwrap(), "data: 1\n\n");

    drop(gone);
    timeout(PATIENCE, first.closed()).await.unwrap();
    second.send(chunk("data: 2\n\n")).await.unwrap();
    assert_eq!(next(&mut kept).await.unwrap(), "data: 2\n\n");
    drop(second);
    assert_eq!(next(&mut kept).await, None);
}

/// The head of the answer has come, and no event.
#[tokio::test]
async fn a_reset_before_the_first_event_cancels_the_engine_too() {
    let (gate, engine, _launch) = serving(&[]).await;
    let mut client = Client::to(&gate).await;
    let chunks = engine.stream();
    let answer = client.post(BODY).await.unwrap();
    drop(answer);
    timeout(PATIENCE, chunks.closed()).await.unwrap();
    assert_eq!(post(gate.api, COMPLETIONS, BODY, "").await.status, 200);
}

#[tokio::test]
async fn heads_and_bodies_are_bounded() {
    let (gate, _engine, _launch) = serving(&["--max-body-bytes", "1024"]).await;
    let mut client = Client::to(&gate).await;
    let mut many = request("GET", "/v1/models", Vec::new());
    for number in 0..100u8 {
        let name: http::HeaderName = format!("x-{number}").parse().unwrap();
        many.headers_mut().insert(name, "y".parse().unwrap());
    }
    let answer = client.send(many).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let answer = client.post(&"x".repeat(2000)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // One stream's fault does not end the others' connection.
    assert_eq!(client.post(BODY).await.unwrap().status(), 200);
    let mut long = request("GET", "/v1/models", Vec::new());
    let value = "y".repeat(20_000).parse().unwrap();
    long.headers_mut().insert("x", value);
    let refused = client.send(long).await;
    assert!(
        refused.is_err()
            || refused.is_ok_and(|r| r.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    );
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// POST to `path` in HPACK's static table and a literal.
fn head(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block
}

/// HEADERS and RST_STREAM, again and again (CVE-2023-44487).
fn rapid_reset(number: u32) -> Vec<u8> {
    let stream = 2 * number + 1;
    let mut frames = frame(1, 4, stream, &head(COMPLETIONS));
    frames.extend(frame(3, 0, stream, &8u32.to_be_bytes()));
    frames
}

/// A head that never ends.
fn continuation_flood(number: u32) -> Vec<u8> {
    if number == 0 {
        return frame(1, 0, 1, &head(COMPLETIONS));
    }
    frame(9, 0, 1, b"\x00\x01a\x01b")
}

/// Settings that must all be acknowledged.
fn settings_flood(_: u32) -> Vec<u8> {
    frame(4, 0, 0, &[]).repeat(16)
}

#[rstest::rstest]
#[case::rapid_reset(rapid_reset)]
#[case::continuation_flood(continuation_flood)]
#[case::settings_flood(settings_flood)]
#[tokio::test]
async fn floods_end_their_connection_only(#[case] make: fn(u32) -> Vec<u8>) {
    let (gate, engine, _launch) = serving(&[]).await;
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    client.write_all(PREFACE).await.unwrap();
    client.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    // Nothing is read: what the gate answers must not pile up in it either.
    let flood = async {
        for number in 0..200_000 {
            if client.write_all(&make(number)).await.is_err() {
                return;
            }
        }
        let _ = client.read_to_end(&mut Vec::new()).await;
    };
    timeout(4 * PATIENCE, flood).await.unwrap();
    let mut other = Client::to(&gate).await;
    assert_eq!(other.post(BODY).await.unwrap().status(), 200);
    assert_eq!(engine.requests().len(), 1, "none of it got through");
}

#[tokio::test]
async fn a_stream_that_is_broken_off_too_often_ends_its_connection() {
    let (gate, engine, _launch) = serving(&[]).await;
    let mut client = Client::to(&gate).await;
    for number in 0..1000 {
        let chunks = engine.stream();
        let Ok(mut answer) = client.post(BODY).await else {
            assert!(number > 100, "{number}");
            return;
        };
        // Each is answered, so that none is reset before it was looked at.
        chunks.send(chunk("data: 0\n\n")).await.unwrap();
        let _ = timeout(PATIENCE, answer.body_mut().frame()).await.unwrap();
        // The engine still writes: it is the client who ends this stream.
        drop(answer);
        timeout(PATIENCE, chunks.closed()).await.unwrap();
    }
    panic!("a client may break everything off");
}

#[tokio::test]
async fn a_drain_tells_clients_to_leave_and_loses_nothing() {
    let (gate, engine, _launch) = serving(&[]).await;
    let mut client = Client::to(&gate).await;
    let chunks = engine.stream();
    let mut answer = client.post(BODY).await.unwrap();
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    assert_eq!(next(&mut answer).await.unwrap(), "data: 0\n\n");
    let mut hook = Command::new(binary())
        .args(["gate", "--drain", "--lease-socket"])
        .arg(gate.path("lease.sock"))
        .env_clear()
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    gate.until("/readyz", 503).await;
    let mut late = Client::to(&gate).await;
    // What comes until the gate's word is served, of a new client at least its first request; then either knows that
    // it must go elsewhere.
    assert_eq!(late.post(BODY).await.unwrap().status(), 200);
    let begun = std::time::Instant::now();
    for client in [&mut client, &mut late] {
        while !client.0.is_closed() {
            assert!(begun.elapsed() < PATIENCE);
            match client.post(BODY).await {
                Ok(answer) => assert_eq!(answer.status(), 200),
                Err(error) => assert!(error.is_canceled() || client.0.is_closed(), "{error:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "before the first refusal"
    );
    chunks.send(chunk("data: last\n\n")).await.unwrap();
    drop(chunks);
    assert_eq!(next(&mut answer).await.unwrap(), "data: last\n\n");
    assert_eq!(next(&mut answer).await, None);
    let ended = timeout(PATIENCE, hook.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn idle_connections_end_and_half_a_preface_too() {
    let (gate, _engine, _launch) = serving(&[]).await;
    let client = Client::to(&gate).await;
    let mut half = TcpStream::connect(gate.api).await.unwrap();
    half.write_all(&PREFACE[..10]).await.unwrap();
    let read = timeout(PATIENCE, half.read_to_end(&mut Vec::new())).await;
    assert!(read.is_ok(), "held");
    let closed = async {
        while !client.0.is_closed() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, closed).await.unwrap();
}

#[tokio::test]
async fn the_other_ports_speak_http_1_only() {
    let gate = Gate::start(&[]).await;
    for port in [gate.admin, gate.metrics] {
        let mut client = TcpStream::connect(port).await.unwrap();
        client.write_all(PREFACE).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, client.read_to_end(&mut answer))
            .await
            .unwrap();
        let settings = answer.get(3) == Some(&4);
        assert!(!settings, "{answer:?}");
    }
}
