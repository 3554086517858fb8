//! Tries every way to a socket that the kernel offers to a program without privileges.

use std::fmt::Write as _;

use socket2::{Domain, Socket, Type};

/// The highest address family that Linux 6 knows is 45; a few more cost nothing.
const FAMILIES: i32 = 64;
const AF_UNIX: i32 = 1;

/// One line per thing that could be made and should not: empty when the lock holds.
///
/// Tried are `socket` for every family and type, and `io_uring_setup`, the other door to sockets.
#[must_use]
pub fn openings() -> String {
    let mut found = String::new();
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

/// How a plain INET socket is refused: the kernel lock says EACCES.
#[must_use]
pub fn inet_refusal() -> String {
    match Socket::new(Domain::IPV4, Type::STREAM, None) {
        Ok(_) => "none".to_owned(),
        Err(error) => error.to_string(),
    }
}
