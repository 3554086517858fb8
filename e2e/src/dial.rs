//! What a client pod or a hostile runtime does: dials out, and says what came back.

use std::{
    fs::File,
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

/// Over what to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A connection.
    Tcp,
    /// A datagram that waits for an answer.
    Udp,
    /// An echo request that waits for its reply. The port means nothing.
    Icmp,
}

/// One attempt: a line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: jiff::Timestamp,
    /// Over what.
    pub protocol: Protocol,
    /// Where to.
    pub to: SocketAddr,
    /// Whether anything came back: a connection, a datagram, or a reply.
    pub reached: bool,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// The error, when nothing came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What to dial, and how often.
#[derive(Debug)]
pub struct Plan {
    /// Where to.
    pub to: Vec<SocketAddr>,
    /// Over what.
    pub protocols: Vec<Protocol>,
    /// How many rounds; 0 for ever.
    pub rounds: u64,
    /// Between rounds.
    pub pause: Duration,
    /// How long an attempt may take.
    pub patience: Duration,
    /// What to send.
    pub text: String,
    /// A second place for the attempts, beside standard output.
    pub record: Option<File>,
}

impl Plan {
    /// Dials everything at once, round after round, and prints a line of JSON an attempt.
    ///
    /// # Errors
    /// When the attempts cannot be written down. Not reaching anybody is no error.
    pub async fn run(mut self) -> Result<()> {
        let mut round = 0;
        while self.rounds == 0 || round < self.rounds {
            let pairs = self
                .to
                .iter()
                .flat_map(|to| self.protocols.iter().map(|p| (*p, *to)));
            let attempts =
                pairs.map(|(protocol, to)| dial(protocol, to, &self.text, self.patience));
            for attempt in futures::future::join_all(attempts).await {
                let line = serde_json::to_string(&attempt)?;
                anstream::println!("{line}");
                if let Some(file) = &mut self.record {
                    writeln!(file, "{line}").context("failed to write the attempts down")?;
                }
            }
            round += 1;
            tokio::time::sleep(self.pause).await;
        }
        Ok(())
    }
}

/// Dials once and sends `text`.
pub async fn dial(protocol: Protocol, to: SocketAddr, text: &str, patience: Duration) -> Attempt {
    let (at, began) = (jiff::Timestamp::now(), Instant::now());
    let attempt = async {
        match protocol {
            Protocol::Tcp => tcp(to, text).await,
            Protocol::Udp => udp(to, text).await,
            Protocol::Icmp => icmp(to, text).await,
        }
    };
    let error = match tokio::time::timeout(patience, attempt).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("silence".to_owned()),
    };
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Attempt {
        at,
        protocol,
        to,
        reached: error.is_none(),
        milliseconds,
        error,
    }
}

/// Connected is reached, whatever is said afterwards.
async fn tcp(to: SocketAddr, text: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    if stream.write_all(text.as_bytes()).await.is_ok() {
        let _ = stream.read(&mut [0; 64]).await;
    }
    Ok(())
}

async fn udp(to: SocketAddr, text: &str) -> std::io::Result<()> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    socket.send(text.as_bytes()).await?;
    socket.recv(&mut [0; 64]).await.map(drop)
}

/// By the socket that a program without privileges may make, where `net.ipv4.ping_group_range` has its group. It sends
/// and receives as one of UDP does; the kernel writes checksum and identifier, and hands over replies to these alone.
async fn icmp(to: SocketAddr, text: &str) -> std::io::Result<()> {
    let (domain, protocol, request) = if to.is_ipv4() {
        (Domain::IPV4, socket2::Protocol::ICMPV4, 8_u8)
    } else {
        (Domain::IPV6, socket2::Protocol::ICMPV6, 128)
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket.into())?;
    socket.connect(to).await?;
    let echo = [&[request, 0, 0, 0, 0, 0, 0, 1][..], text.as_bytes()].concat();
    socket.send(&echo).await?;
    socket.recv(&mut [0; 64]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_reached_from_refused_and_silent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let patience = Duration::from_millis(300);
        let server = tokio::spawn(async move { drop(listener.accept().await) });
        assert!(dial(Protocol::Tcp, to, "", patience).await.reached);
        server.await.unwrap();
        // Bound and not listening: it refuses, and nobody else gets the port in the meantime.
        let bound = tokio::net::TcpSocket::new_v4().unwrap();
        bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let refused = dial(Protocol::Tcp, bound.local_addr().unwrap(), "", patience).await;
        assert!(!refused.reached && refused.error.unwrap().contains("refused"));
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let silence = dial(Protocol::Udp, silent.local_addr().unwrap(), "", patience).await;
        assert_eq!(silence.error.as_deref(), Some("silence"));
    }

    #[tokio::test]
    async fn loopback_replies_where_somebody_may_ask() {
        for to in ["127.0.0.1:0", "[::1]:0"] {
            let patience = Duration::from_secs(5);
            let echo = dial(Protocol::Icmp, to.parse().unwrap(), "text", patience).await;
            // Whether this group may is the machine's own setting, and so is whether there is IPv6.
            let error = echo.error.unwrap_or_default();
            assert!(echo.reached || !error.contains("silence"), "{to}: {error}");
        }
    }
}
