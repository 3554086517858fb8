//! Loopback ports that nobody else takes between being chosen and being used.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the kernel gives to whoever asks for any (32768 and more, `ip_local_port_range`).
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// A free port, for a program that has to be told one. No two calls of a process give the same.
pub fn free_port() -> SocketAddr {
    // Another process that runs these tests begins elsewhere.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(std::process::id() as u16));
    loop {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
