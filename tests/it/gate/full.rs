//! A port with as many connections as it may hold.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::bed::{Gate, PATIENCE, request};

/// 2 x 1 + 64.
const CONNECTIONS: usize = 66;
/// Of those that are turned away, so many have time to end.
const PARTING: usize = 64;

/// A gate, and the clients that fill it.
pub(super) async fn full() -> (Gate, Vec<TcpStream>) {
    let gate = Gate::start(&["--max-concurrent", "1", "--max-queued", "0"]).await;
    let mut held = Vec::new();
    // They are taken in the order in which they come.
    for _ in 0..CONNECTIONS {
        let mut client = TcpStream::connect(gate.api).await.unwrap();
        client.write_all(b"GET /v1/mod").await.unwrap();
        held.push(client);
    }
    (gate, held)
}

/// Reads to the end of the connection, which must be no reset.
async fn answer(client: &mut TcpStream) -> String {
    let mut answer = String::new();
    let read = timeout(PATIENCE, client.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn who_is_turned_away_while_it_sends_reads_why() {
    let (gate, _held) = full().await;
    let text = request("/v1/completions", &"x".repeat(512 * 1024), "");
    let mut client = TcpStream::connect(gate.api).await.unwrap();
    // In pieces: bytes that reach a closed socket are noticed with those that follow.
    for piece in text.as_bytes().chunks(16 * 1024) {
        let sent = timeout(PATIENCE, client.write_all(piece)).await;
        sent.unwrap().unwrap();
    }
    let answer = answer(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"]["code"], "busy", "{body}");
}

#[tokio::test]
async fn those_that_are_turned_away_are_no_way_around_the_limit() {
    let (gate, _held) = full().await;
    // One listens.
    let limit = CONNECTIONS + PARTING + 1;
    let (mut away, mut most) = (Vec::new(), 0);
    for _ in 0..2 * PARTING {
        let mut client = TcpStream::connect(gate.api).await.unwrap();
        let answer = answer(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        // It does not close.
        away.push(client);
        // A client hears of the end a moment before the socket is gone.
        let settled = timeout(Duration::from_millis(200), async {
            while open(gate.api) > limit {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(settled.await.is_ok(), "{} are open", open(gate.api));
        most = most.max(open(gate.api));
    }
    assert!(most > CONNECTIONS + 1, "nobody has time to end");
}

/// Sockets of that port that a process holds (`proc_pid_net(5)`): the kernel's own, which only wait for the last words of
/// the other side, have no inode.
fn open(at: SocketAddr) -> usize {
    let port = format!(":{:04X}", at.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ours = table.lines().skip(1).filter(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&port) && fields[9] != "0"
    });
    ours.count()
}
