//! Asks the network: one fresh socket per target, all targets at once, bounded in time and memory.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::StreamExt as _;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use super::check::MAX_TARGETS;
use super::verdict::required_wait;
use super::wire::{Proto, Target, TargetKind};

/// How often a datagram is sent within one wait: a single lost one must not look like a wall.
const DATAGRAMS: u32 = 3;
/// How long an established connection is given to carry the nonce.
const SPEAK: Duration = Duration::from_millis(300);

/// What happened when a target was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A TCP connection was established.
    Connected,
    /// A datagram, or the canary's text over TCP, came back.
    Answered,
    /// A TCP reset, or ICMP port unreachable.
    Refused,
    /// `ENETUNREACH`, `EHOSTUNREACH` and their kin: no route, or ICMP said so.
    Unreachable,
    /// `EACCES` or `EPERM`: the own kernel forbids it.
    Denied,
    /// Nothing came.
    Silence {
        /// How long it was waited for, in milliseconds.
        waited_ms: u64,
    },
    /// Something that says nothing about the network, such as no free port or descriptor.
    Error(io::ErrorKind),
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Answered => f.write_str("answered"),
            Self::Refused => f.write_str("refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Denied => f.write_str("denied"),
            Self::Silence { waited_ms } => write!(f, "silence {waited_ms} ms"),
            Self::Error(kind) => write!(f, "error: {kind}"),
        }
    }
}

/// An observation and when it was made, counted from the first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What happened.
    pub observation: Observation,
    /// Up to the connection, the answer or the error; a nonce sent afterwards is not in it.
    pub elapsed: Duration,
}

/// Asks every target, at most 64 at once, and answers in their order.
///
/// Takes as long as the slowest: at most [`MAX_WAIT`](super::verdict::MAX_WAIT) and a little. `nonce` is what
/// a canary hears.
pub async fn probe(targets: &[Target], nonce: &str) -> Vec<Observation> {
    let asked = targets.iter().map(|target| {
        let wait = required_wait(target.control);
        async move {
            dial(target.kind, target.addr, target.proto, nonce, wait)
                .await
                .observation
        }
    });
    // Boxed because the compiler cannot prove `Send` for a stream of borrowing closures' futures.
    let asked: Vec<_> = asked.map(futures::FutureExt::boxed).collect();
    futures::stream::iter(asked)
        .buffered(MAX_TARGETS)
        .collect()
        .await
}

/// Asks one address and waits at most `wait` for what comes.
pub async fn dial(
    kind: TargetKind,
    addr: SocketAddr,
    proto: Proto,
    nonce: &str,
    wait: Duration,
) -> Sample {
    let begun = Instant::now();
    let asked = match proto {
        Proto::Tcp => timeout(wait, TcpStream::connect(addr))
            .await
            .map(|made| made.map(|stream| (Observation::Connected, Some(stream)))),
        Proto::Udp => timeout(wait, ask(kind, addr, nonce, wait))
            .await
            .map(|got| got.map(|()| (Observation::Answered, None))),
    };
    let elapsed = begun.elapsed();
    let observation = match asked {
        Ok(Ok((_, Some(stream)))) => speak(kind, stream, nonce).await,
        Ok(Ok((observation, None))) => observation,
        Ok(Err(error)) => classify(&error, elapsed),
        Err(_) => silence(elapsed),
    };
    Sample {
        observation,
        elapsed,
    }
}

fn silence(elapsed: Duration) -> Observation {
    Observation::Silence {
        waited_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}

/// What an error of a connect, a send or a receive says.
///
/// `EADDRNOTAVAIL` is no "unreachable": it is also what a neighbour in the same network namespace causes who
/// uses up the ports, and nobody may blind the probe that way. Nor is `EAFNOSUPPORT`: a required target of a
/// family that this pod lacks cannot have a control, so it is unknown in any case.
fn classify(error: &io::Error, elapsed: Duration) -> Observation {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ECONNREFUSED) => Observation::Refused,
        Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::ENETDOWN | Errno::EHOSTDOWN) => {
            Observation::Unreachable
        }
        Some(Errno::EACCES | Errno::EPERM) => Observation::Denied,
        // The kernel gave up sooner than asked; the verdict says whether it waited long enough.
        Some(Errno::ETIMEDOUT) => silence(elapsed),
        _ => Observation::Error(error.kind()),
    }
}

/// Says the nonce to a canary that let us in, so that it remembers who got out whatever NAT did.
async fn speak(kind: TargetKind, mut stream: TcpStream, nonce: &str) -> Observation {
    if kind != TargetKind::Canary {
        return Observation::Connected;
    }
    let said = async {
        stream.write_all(&canary_text(nonce)).await?;
        let mut answer = [0; 64];
        stream.read(&mut answer).await
    };
    match timeout(SPEAK, said).await {
        Ok(Ok(length)) if length > 0 => Observation::Answered,
        _ => Observation::Connected,
    }
}

/// Sends the question a few times and returns when anything comes back.
///
/// The socket is not connected, so that an answer from another address than the one that was asked (a
/// forgetful NAT, direct server return) counts too; `IP_RECVERR` brings the ICMP errors all the same.
async fn ask(kind: TargetKind, addr: SocketAddr, nonce: &str, wait: Duration) -> io::Result<()> {
    let any: SocketAddr = match addr {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    match addr {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
    }
    let question = match kind {
        TargetKind::Dns => dns_question(),
        TargetKind::Canary | TargetKind::Dial => canary_text(nonce),
    };
    let mut answer = [0; 512];
    for _ in 0..DATAGRAMS {
        socket.send_to(&question, addr).await?;
        if let Ok(got) = timeout(wait / DATAGRAMS, socket.recv_from(&mut answer)).await {
            return got.map(|_| ());
        }
    }
    // The divided wait leaves a rest; the caller's timeout ends it.
    socket.recv_from(&mut answer).await.map(|_| ())
}

/// `sealroom-nonce <nonce>\n`.
#[must_use]
pub fn canary_text(nonce: &str) -> Vec<u8> {
    format!("sealroom-nonce {nonce}\n").into_bytes()
}

/// `id.server. CH TXT` (RFC 4892): servers answer or refuse it by themselves, so that a cluster DNS without
/// an upstream, which is the rule where there is no internet, answers at once instead of timing out.
fn dns_question() -> Vec<u8> {
    let mut question = rand::random::<[u8; 2]>().to_vec();
    // Flags: a query, no recursion. One question, nothing else.
    question.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    question.extend_from_slice(b"\x02id\x06server\x00");
    // Type TXT, class CHAOS.
    question.extend_from_slice(&[0, 16, 0, 3]);
    question
}

#[cfg(test)]
mod tests;
