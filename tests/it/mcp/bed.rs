//! A real gate and a real bridge with a server of perl behind them, and clients that speak HTTP by hand.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::gate::bed::{Answer, Gate, PATIENCE, binary, raw};
use crate::launch::bed::Launch;

/// Gate, bridge and server, proven and answering.
pub struct Bed {
    pub gate: Gate,
    pub bridge: Launch,
}

pub const LEGACY: &str = "2025-11-25";
pub const MODERN: &str = "2026-07-28";

impl Bed {
    /// With the server's arguments; `DIR` in them is the test's directory.
    pub async fn start(flags: &[&str], server: &[&str]) -> Self {
        let bed = Self::unready(flags, &[], server).await;
        bed.gate.until("/readyz", 200).await;
        bed
    }

    pub async fn unready(flags: &[&str], bridge: &[&str], server: &[&str]) -> Self {
        let mut gate = Gate::start_with(&[&["--mcp", "Stdio"], flags].concat()).await;
        let dir = gate.dir.path().to_str().unwrap().to_owned();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mcp/server.pl");
        let mut command = Command::new(binary());
        command
            .args(["bridge", "--drain-seconds", "10"])
            .args(bridge)
            .arg("--lease-socket")
            .arg(gate.path("lease.sock"))
            .arg("--socket")
            .arg(gate.path("runtime.sock"))
            .args(["--", "/usr/bin/perl", script])
            .args(server.iter().map(|part| part.replace("DIR", &dir)))
            .env("OPENAI_BASE_URL", "http://127.0.0.1:11500/v1")
            .env("SEALROOM_SECRET", "ours");
        let bridge = Launch::spawn(&mut command);
        gate.prove().await;
        Self { gate, bridge }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.gate.path(name)
    }

    pub fn client(&self) -> Client {
        Client {
            at: self.gate.api,
            session: None,
            fields: String::new(),
        }
    }

    /// A client with a session.
    pub async fn session(&self) -> Client {
        let mut client = self.client();
        client.initialize().await;
        client
    }

    /// Waits until the server's note has a line that begins so, and gives its rest.
    pub async fn noted(&self, begin: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.path("note")).unwrap_or_default();
            if let Some(rest) = text.lines().find_map(|line| line.strip_prefix(begin)) {
                return rest.trim().to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "no {begin:?} in {text:?}");
            sleep(Duration::from_millis(30)).await;
        }
    }

    /// How often the server's note says this.
    pub fn noted_times(&self, what: &str) -> usize {
        let text = std::fs::read_to_string(self.path("note")).unwrap_or_default();
        text.matches(what).count()
    }

    /// The next audit line of that method.
    pub async fn audited(&mut self, rpc: &str) -> Value {
        loop {
            let line = self.gate.audit_line().await;
            if line["rpc"] == rpc {
                return line;
            }
        }
    }
}

/// A client of either era.
#[derive(Clone)]
pub struct Client {
    pub at: SocketAddr,
    pub session: Option<String>,
    /// Further header lines.
    pub fields: String,
}

impl Client {
    pub fn head(&self) -> String {
        let session = self.session.as_ref().map_or_else(String::new, |id| {
            format!("mcp-session-id: {id}\r\nmcp-protocol-version: {LEGACY}\r\n")
        });
        format!(
            "host: localhost\r\nconnection: close\r\naccept: application/json, text/event-stream\r\n{session}{}",
            self.fields
        )
    }

    pub fn post_text(&self, body: &str) -> String {
        format!(
            "POST /mcp HTTP/1.1\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.head(),
            body.len()
        )
    }

    pub async fn post(&self, body: &Value) -> Answer {
        raw(self.at, &self.post_text(&body.to_string())).await
    }

    pub async fn initialize(&mut self) -> Value {
        let params = json!({"protocolVersion": LEGACY, "capabilities": {"roots": {}}, "clientInfo": {"name": "test", "version": "1"}});
        let body =
            json!({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": params});
        let answer = self.post(&body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("mcp-session-id: "));
        self.session = Some(id.unwrap_or_else(|| panic!("{answer:?}")).trim().to_owned());
        let noted = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(self.post(&noted).await.status, 202);
        message(&answer)
    }

    /// A request of the stateless era.
    pub async fn modern(&self, id: &Value, method: &str, params: Value) -> Answer {
        let (body, fields) = modern(id, method, params);
        let fields = self.fields.clone() + &fields;
        let client = Self {
            fields,
            ..self.clone()
        };
        client.post(&body).await
    }

    /// A call of a tool: the message that answers it.
    pub async fn call(&self, id: &Value, tool: &str, word: &str) -> Value {
        let answer = self.post(&call(id, tool, word)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        message(&answer)
    }

    /// The text that a tool gives.
    pub async fn text(&self, tool: &str, word: &str) -> String {
        let answer = self.call(&json!(1), tool, word).await;
        text(&answer)
    }
}

/// A connection of its own with that request, whose answer is read as it comes.
pub async fn open(client: &Client, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(client.at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// What comes until it has this.
pub async fn until(stream: &mut TcpStream, what: &str) -> String {
    let mut text = String::new();
    let mut some = [0u8; 4096];
    while !text.contains(what) {
        let read = timeout(PATIENCE, stream.read(&mut some)).await;
        let count = read.unwrap().unwrap();
        assert_ne!(count, 0, "ended before {what}: {text}");
        text.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    text
}

/// A request of the stateless era: its text and its header lines.
pub fn modern(id: &Value, method: &str, params: Value) -> (Value, String) {
    let mut params = params;
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
    let capabilities = &mut params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    if capabilities.is_null() {
        *capabilities = json!({});
    }
    let name = params["name"]
        .as_str()
        .map(|name| format!("mcp-name: {name}\r\n"));
    let fields = format!(
        "mcp-protocol-version: {MODERN}\r\nmcp-method: {method}\r\n{}",
        name.unwrap_or_default()
    );
    let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    (body, fields)
}

pub fn call(id: &Value, tool: &str, word: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "arguments": {"word": word}}})
}

pub fn text(answer: &Value) -> String {
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The messages of an answer, whole or as events.
pub fn messages(answer: &Answer) -> Vec<Value> {
    if !answer.head.contains("text/event-stream") {
        return vec![serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))];
    }
    let body = unchunked(&answer.body);
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let data = data.filter(|text| !text.trim().is_empty());
    data.map(|text| serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}")))
        .collect()
}

/// The last of them.
pub fn message(answer: &Answer) -> Value {
    messages(answer)
        .pop()
        .unwrap_or_else(|| panic!("{answer:?}"))
}

/// The body without the sizes of its chunks (RFC 9112, section 7.1).
fn unchunked(body: &str) -> String {
    let mut left = body;
    let mut whole = String::new();
    while let Some((size, rest)) = left.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else {
            break;
        };
        if size == 0 || rest.len() < size {
            break;
        }
        whole.push_str(&rest[..size]);
        left = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
