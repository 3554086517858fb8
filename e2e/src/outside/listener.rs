//! A host that answers whoever reaches it, over TCP and UDP, and writes down who did.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
};

/// The ports that it listens on, TCP and UDP.
pub const PORTS: RangeInclusive<u16> = 9000..=9009;
/// How much of what was sent is written down, in bytes.
const KEPT: usize = 200;
/// How many connections are served at once; more wait.
const CONNECTIONS: usize = 1024;
/// How many records are written at most, so that a runaway sender does not fill the disk.
const RECORDS: u64 = 1_000_000;

/// One connection or datagram: a line of JSON in the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// When it arrived.
    pub at: jiff::Timestamp,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Who sent it.
    pub from: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// The first 200 bytes, lossy UTF-8. A TCP connection that sent nothing within half a second: empty.
    pub sent: String,
}

/// Reads a log. Its last line may be half written, and is left out then.
///
/// # Errors
/// When the log cannot be read or a whole line is no record.
pub fn read_log(log: &Path) -> Result<Vec<Record>> {
    let text = std::fs::read_to_string(log)
        .with_context(|| format!("failed to read {}", log.display()))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let records = whole
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>();
    records.context("failed to parse the outside host's log")
}

/// The log: appended to, one line a record, each written at once.
#[derive(Debug)]
struct Log(Mutex<(File, u64)>);

impl Log {
    fn write(&self, protocol: &str, from: SocketAddr, to: SocketAddr, sent: &[u8]) {
        let sent = String::from_utf8_lossy(&sent[..sent.len().min(KEPT)]).into_owned();
        let (from, to) = (canonical(from), canonical(to));
        let record = Record {
            at: jiff::Timestamp::now(),
            protocol: protocol.to_owned(),
            from,
            to,
            sent,
        };
        let Ok(mut line) = serde_json::to_vec(&record) else {
            return;
        };
        line.push(b'\n');
        let Ok(mut log) = self.0.lock() else { return };
        if log.1 < RECORDS {
            log.1 += 1;
            if let Err(error) = log.0.write_all(&line) {
                eprintln!("failed to write the log: {error}");
            }
        }
    }
}

/// An IPv4 address that arrived on a socket of both families, as an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Listens on [`PORTS`] of every address of this network namespace until it is killed.
///
/// # Errors
/// When a port is taken or the log cannot be opened.
pub async fn listen(log: &Path) -> Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(log);
    let file = file.with_context(|| format!("failed to open {}", log.display()))?;
    let log = Arc::new(Log(Mutex::new((file, 0))));
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let addresses = addresses()?;
    let mut tasks = tokio::task::JoinSet::new();
    for port in PORTS {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await;
        let listener = listener.with_context(|| format!("failed to listen on TCP port {port}"))?;
        tasks.spawn(streams(listener, log.clone(), permits.clone()));
        // One UDP socket an address, so that an answer comes from the address that was asked.
        for address in &addresses {
            let socket = UdpSocket::bind((*address, port)).await;
            let socket =
                socket.with_context(|| format!("failed to listen on UDP {address} port {port}"))?;
            tasks.spawn(datagrams(socket, log.clone()));
        }
    }
    match tasks.join_next().await {
        Some(ended) => ended.context("failed to go on listening")?,
        None => Ok(()),
    }
}

/// The addresses of this network namespace that somebody else can reach.
fn addresses() -> Result<Vec<IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs().context("failed to list the addresses")?;
    let found = interfaces.filter_map(|i| {
        let address = i.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    });
    let reachable = |a: &IpAddr| match a {
        IpAddr::V4(_) => true,
        IpAddr::V6(a) => !a.is_unicast_link_local(),
    };
    Ok(found.filter(reachable).collect())
}

async fn streams(listener: TcpListener, log: Arc<Log>, permits: Arc<Semaphore>) -> Result<()> {
    loop {
        let permit = permits.clone().acquire_owned().await?;
        match listener.accept().await {
            Ok((stream, from)) => {
                let log = log.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    let _ =
                        tokio::time::timeout(Duration::from_secs(5), answer(stream, from, &log))
                            .await;
                });
            }
            // Out of descriptors, or the peer was gone before we came: neither ends the listener.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Reads what there is, writes it down and says `ok`, as HTTP to who speaks HTTP.
async fn answer(mut stream: TcpStream, from: SocketAddr, log: &Log) -> std::io::Result<()> {
    let to = stream.local_addr()?;
    let mut sent = [0; 1024];
    let read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut sent)).await;
    let n = read.unwrap_or(Ok(0)).unwrap_or(0);
    log.write("tcp", from, to, &sent[..n]);
    let http = [&b"GET "[..], b"POST ", b"HEAD "]
        .iter()
        .any(|m| sent[..n].starts_with(m));
    let ok: &[u8] = match http {
        true => b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n",
        false => b"ok\n",
    };
    stream.write_all(ok).await?;
    stream.shutdown().await
}

async fn datagrams(socket: UdpSocket, log: Arc<Log>) -> Result<()> {
    let to = socket.local_addr()?;
    let mut sent = [0; 2048];
    loop {
        // An ICMP error to an earlier answer is reported here, and is no reason to stop.
        let Ok((n, from)) = socket.recv_from(&mut sent).await else {
            continue;
        };
        log.write("udp", from, to, &sent[..n]);
        let _ = socket.send_to(b"ok\n", from).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (tempfile::TempDir, Arc<Log>) {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join("log")).unwrap();
        (directory, Arc::new(Log(Mutex::new((file, 0)))))
    }

    fn records(directory: &tempfile::TempDir) -> Vec<Record> {
        read_log(&directory.path().join("log")).unwrap()
    }

    #[test]
    fn leaves_out_a_half_written_line_only() {
        let (directory, log) = log();
        let address: SocketAddr = "10.0.0.1:9000".parse().unwrap();
        log.write("tcp", address, address, b"1");
        let path = directory.path().join("log");
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "{\"at\":").unwrap();
        assert_eq!(records(&directory).len(), 1);
        std::fs::write(&path, "{}\n").unwrap();
        assert!(read_log(&path).is_err());
    }

    #[tokio::test]
    async fn answers_and_writes_down_over_tcp() {
        let (directory, log) = log();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio::spawn(streams(listener, log, Arc::new(Semaphore::new(4))));
        for (sent, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK"),
            ("nonce", "ok\n"),
        ] {
            let mut stream = TcpStream::connect(to).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(expected), "{answer}");
        }
        let records = records(&directory);
        assert_eq!(
            records.iter().map(|r| r.sent.as_str()).collect::<Vec<_>>(),
            ["GET / HTTP/1.1\r\n\r\n", "nonce"]
        );
        assert!(records.iter().all(|r| r.to == to && r.protocol == "tcp"));
    }

    #[tokio::test]
    async fn answers_and_writes_down_200_bytes_over_udp() {
        let (directory, log) = log();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = socket.local_addr().unwrap();
        tokio::spawn(datagrams(socket, log));
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.send_to(&[b'x'; 500], to).await.unwrap();
        let mut answer = [0; 8];
        let (n, from) = client.recv_from(&mut answer).await.unwrap();
        assert_eq!((&answer[..n], from), (&b"ok\n"[..], to));
        assert_eq!(records(&directory)[0].sent, "x".repeat(200));
    }
}
