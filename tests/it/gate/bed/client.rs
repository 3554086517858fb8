//! Requests as text, each over a raw connection.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use super::{Gate, PATIENCE};
use crate::gate::engine::{Chunk, Engine, chunk};

/// An answer over a raw connection.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

pub async fn get(addr: SocketAddr, path: &str) -> Answer {
    raw(
        addr,
        &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
    )
    .await
}

pub async fn post(addr: SocketAddr, path: &str, body: &str, fields: &str) -> Answer {
    raw(addr, &request(path, body, fields)).await
}

/// A POST as text; `fields` are further header lines.
pub fn request(path: &str, body: &str, fields: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{fields}\r\n{body}"
    )
}

/// A connection on which a POST was sent.
pub async fn posted(addr: SocketAddr, path: &str, body: &str) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.unwrap();
    let text = request(path, body, "");
    client.write_all(text.as_bytes()).await.unwrap();
    client
}

/// Sends text and reads the answer to the end of the connection.
pub async fn raw(addr: SocketAddr, text: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // The gate may answer and close before it has taken everything.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut all = Vec::new();
    let mut chunk = [0u8; 4096];
    while let Ok(Ok(count @ 1..)) = timeout(PATIENCE, stream.read(&mut chunk)).await {
        all.extend_from_slice(&chunk[..count]);
    }
    answer(&String::from_utf8_lossy(&all))
}

/// The answer that this text is.
pub fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// A client whose answer has begun, and ends when the sender goes; `fields` are further header lines of its request.
pub async fn streaming(gate: &Gate, engine: &Engine, fields: &str) -> (Sender<Chunk>, TcpStream) {
    let chunks = engine.stream();
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    let text = request("/v1/completions", r#"{"prompt":"x"}"#, fields);
    client.write_all(text.as_bytes()).await.unwrap();
    chunks.send(chunk("data: 0\n\n")).await.unwrap();
    assert_ne!(client.read(&mut [0u8; 1024]).await.unwrap(), 0);
    (chunks, client)
}
