//! A runtime that tries to get out from its first instruction on, and otherwise behaves.
//!
//! Its image places this crate's binary at `/usr/bin/llama-server`, so that it stands where the engine
//! stands, with the engine's arguments. What to dial is baked into the image.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

use super::families;
use crate::dial::{Protocol, dial};

/// Where a hostile image keeps its orders.
pub const ORDERS: &str = "/etc/hostile.json";

/// What a hostile runtime does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hostile {
    /// Dialled at once over TCP and UDP, and then again and again, all in parallel.
    pub dial: Vec<SocketAddr>,
    /// Milliseconds between two attempts.
    pub every_ms: u64,
    /// Goes on when it is told to stop.
    pub ignore_term: bool,
    /// Tries every socket family and io_uring, and prints what it could make, before it listens.
    pub families: bool,
    /// Fails in the way that a prompt asks for, by one of the words in [`Failure`].
    pub obeys: bool,
}

/// How a runtime fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Takes memory until it is killed.
    Exhaust,
    /// Takes connections and answers none.
    Hang,
    /// Ends by itself.
    End,
    /// Says that it is healthy, and answers everything else with 500.
    BadAnswers,
}

impl Failure {
    /// The word in a prompt that asks for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exhaust => "please-exhaust-your-memory",
            Self::Hang => "please-hang",
            Self::End => "please-end",
            Self::BadAnswers => "please-answer-badly",
        }
    }

    fn asked_by(body: &str) -> Option<Self> {
        let all = [Self::Exhaust, Self::Hang, Self::End, Self::BadAnswers];
        all.into_iter()
            .find(|failure| body.contains(failure.word()))
    }
}

/// What it was asked to do for the rest of its life.
#[derive(Debug, Default)]
struct Moods {
    hangs: AtomicBool,
    answers_badly: AtomicBool,
}

/// Runs as the engine would: `--host <socket>` names the Unix socket to serve on.
///
/// # Errors
/// Orders that do not parse, a socket that cannot be bound.
pub async fn run_as_engine(args: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let orders = std::fs::read(ORDERS).with_context(|| format!("failed to read {ORDERS}"))?;
    let orders: Hostile = serde_json::from_slice(&orders).context("failed to parse the orders")?;
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?
        .trim()
        .to_owned();
    for to in orders.dial {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let text = format!("hostile {name}\n");
            let pause = Duration::from_millis(orders.every_ms.max(10));
            tokio::spawn(async move {
                loop {
                    dial(protocol, to, &text, Duration::from_millis(500)).await;
                    tokio::time::sleep(pause).await;
                }
            });
        }
    }
    // Who listens for a signal is not ended by it.
    let _deaf = orders
        .ignore_term
        .then(|| signal(SignalKind::terminate()))
        .transpose()?;
    if orders.families {
        eprintln!("inet: {}", families::inet_refusal());
        eprintln!("openings: [{}]", families::openings().replace('\n', "; "));
    }
    let socket = args
        .skip_while(|arg| arg != "--host")
        .nth(1)
        .context("failed to find --host")?;
    let listener =
        UnixListener::bind(&socket).with_context(|| format!("failed to bind {socket}"))?;
    let moods = Arc::new(Moods::default());
    let mut held = vec![];
    loop {
        let (stream, _) = listener.accept().await?;
        if moods.hangs.load(Ordering::Relaxed) {
            held.push(stream);
        } else {
            tokio::spawn(answer(stream, orders.obeys, Arc::clone(&moods)));
        }
    }
}

/// Answers one request the way llama-server would, as far as a gate looks, or fails as it is asked to.
async fn answer(stream: UnixStream, obeys: bool, moods: Arc<Moods>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut sent = String::new();
    (&mut stream).take(length).read_to_string(&mut sent).await?;
    match Failure::asked_by(&sent).filter(|_| obeys) {
        Some(Failure::Exhaust) => exhaust(),
        Some(Failure::Hang) => {
            moods.hangs.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        Some(Failure::End) => std::process::exit(7),
        Some(Failure::BadAnswers) => moods.answers_badly.store(true, Ordering::Relaxed),
        None => {}
    }
    let is_work = first.contains("/completion");
    if is_work && moods.answers_badly.load(Ordering::Relaxed) {
        let refusal = r#"{"error":{"code":500,"message":"hostile","type":"server_error"}}"#;
        return write(&mut stream, "500 Internal Server Error", refusal).await;
    }
    let body = if first.contains("/chat/completions") {
        r#"{"id":"h","object":"chat.completion","created":0,"model":"hostile","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hostile"}}]}"#
    } else if first.contains("/completion") {
        r#"{"id":"h","object":"text_completion","created":0,"model":"hostile","content":"hostile","choices":[{"index":0,"finish_reason":"stop","text":"hostile"}]}"#
    } else {
        r#"{"status":"ok"}"#
    };
    write(&mut stream, "200 OK", body).await
}

async fn write(
    stream: &mut BufReader<UnixStream>,
    status: &str,
    body: &str,
) -> std::io::Result<()> {
    let kind = "content-type: application/json\r\nconnection: close";
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{kind}\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// Takes memory until it is killed, or until it has far more than any limit of the tests.
fn exhaust() -> ! {
    const STEP: usize = 16 << 20;
    let mut taken = vec![];
    while taken.len() < 128 {
        taken.push(vec![1_u8; STEP]);
    }
    eprintln!("nobody took the memory back");
    std::process::exit(8)
}
