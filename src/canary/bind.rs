//! Sockets for both address families.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
    sockopt,
};
use tokio::net::{TcpListener, UdpSocket};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// A TCP listener; on `[::]` it takes both families, on a machine without IPv6 it takes IPv4.
pub fn tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let fd = bound(addr, SockType::Stream)?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    TcpListener::from_std(fd.into())
}

/// The same for UDP.
pub fn udp(addr: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::from_std(bound(addr, SockType::Datagram)?.into())
}

fn bound(addr: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
    match open(addr, kind) {
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)
            if addr.is_ipv6() && addr.ip().is_unspecified() =>
        {
            let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
            Ok(open(v4, kind)?)
        }
        opened => Ok(opened?),
    }
}

fn open(addr: SocketAddr, kind: SockType) -> nix::Result<OwnedFd> {
    let family = match addr {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, kind, flags, None)?;
    if addr.is_ipv6() {
        // Not left to net.ipv6.bindv6only.
        setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
    }
    if kind == SockType::Stream {
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    bind(
        std::os::fd::AsRawFd::as_raw_fd(&fd),
        &SockaddrStorage::from(addr),
    )?;
    Ok(fd)
}
