//! Tries every way to a socket that the kernel offers to a program without privileges.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::join_all;
use socket2::{Domain, Socket, Type};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::dial::{Protocol, dial};
use crate::outside;

/// The highest address family that Linux 6 knows is 45; a few more cost nothing.
const FAMILIES: i32 = 64;
const AF_UNIX: i32 = 1;

/// One line per thing that could be made and should not: empty when the lock holds.
///
/// Tried are `socket` for every family and type, and `io_uring_setup`, the other door to sockets. Before that the host
/// outside is asked for an echo, where a socket for it can be made: `icmp <address>: <what came back>`. Needs the threads
/// of a runtime.
#[must_use]
pub fn openings() -> String {
    let mut found = block_in_place(|| Handle::current().block_on(echoes()));
    for family in (0..FAMILIES).filter(|family| *family != AF_UNIX) {
        for kind in [Type::STREAM, Type::DGRAM, Type::RAW, Type::SEQPACKET] {
            if Socket::new(Domain::from(family), kind, None).is_ok() {
                let _ = writeln!(found, "socket family {family} {kind:?}");
            }
        }
    }
    if io_uring::IoUring::new(2).is_ok() {
        let _ = writeln!(found, "io_uring_setup");
    }
    found
}

async fn echoes() -> String {
    let to = outside::ADDRESSES.iter().filter_map(|to| to.parse().ok());
    let to = to.map(|to: IpAddr| SocketAddr::new(to, 0));
    let asked = to.map(|to| dial(Protocol::Icmp, to, "sealroom", Duration::from_secs(1)));
    let mut found = String::new();
    for attempt in join_all(asked).await {
        let came = if attempt.reached {
            "a reply"
        } else {
            attempt.error.as_deref().unwrap_or_default()
        };
        // Who may not make the socket has asked nobody.
        if !came.contains("denied") {
            let _ = writeln!(found, "icmp {}: {came}", attempt.to.ip());
        }
    }
    found
}

/// How a plain INET socket is refused: the kernel lock says EACCES.
#[must_use]
pub fn inet_refusal() -> String {
    match Socket::new(Domain::IPV4, Type::STREAM, None) {
        Ok(_) => "none".to_owned(),
        Err(error) => error.to_string(),
    }
}
