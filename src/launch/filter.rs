//! The kernel lock's seccomp filter.
//!
//! What it refuses, with EACCES so that a well-behaved engine reports an error and goes on:
//! - `socket` and `socketpair` of every family but AF_UNIX; for an engine that cannot listen there, `socket` of TCP
//!   over AF_INET and AF_INET6 is left, and nothing else of these families: no datagram, no raw socket, no MPTCP
//!   and no SCTP;
//! - data that opens a TCP connection by itself (`MSG_FASTOPEN`), since Landlock looks at `connect` only, and another
//!   protocol on top of TCP (`TCP_ULP`): `smc` puts a socket in its place that Landlock does not look at;
//! - `io_uring_*`, whose operations include `IORING_OP_SOCKET` and pass no seccomp filter;
//! - `ptrace` and `pidfd_getfd`, which take another process's descriptors or make it call for us.
//!
//! A call through a foreign architecture (i386 on x86-64) kills the process: seccompiler compares
//! `seccomp_data.arch` first. x32 shares the architecture value of x86-64 and differs by bit 30 of the
//! number, so each of these calls has a rule of its own there, for AF_UNIX too: nothing speaks x32.
//!
//! Not refused: `process_vm_readv` and `process_vm_writev`. Every process that an engine sees is under the
//! same filter and gains nothing; launch itself is kept out of reach by being not dumpable.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::engine::Sockets;

/// The bit that marks a system call of the x32 ABI (`__X32_SYSCALL_BIT` in Linux's `asm/unistd.h`).
pub const X32_BIT: i64 = 0x4000_0000;

/// `ptrace` has a number of its own in the x32 table (`syscall_64.tbl`); old kernels also took the numbers
/// 512 to 547 without the bit.
pub const X32_PTRACE: i64 = 521;

/// Refused for every family but AF_UNIX, but for what [`Sockets`] leaves of the first.
pub const BY_FAMILY: [i64; 2] = [libc::SYS_socket, libc::SYS_socketpair];

/// A call that gets past Landlock when each of these arguments is so.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// Its number.
    pub number: i64,
    /// Its number in the x32 table (`syscall_64.tbl`).
    x32: i64,
    /// Of each argument its index, the bits that count, and their value.
    pub arguments: &'static [(u8, u64, u64)],
}

/// Refused where streams are left.
pub const PAST_LANDLOCK: [Past; 4] = [
    Past {
        number: libc::SYS_sendto,
        x32: libc::SYS_sendto,
        arguments: &[(3, FASTOPEN, FASTOPEN)],
    },
    Past {
        number: libc::SYS_sendmsg,
        x32: 518,
        arguments: &[(2, FASTOPEN, FASTOPEN)],
    },
    Past {
        number: libc::SYS_sendmmsg,
        x32: 538,
        arguments: &[(3, FASTOPEN, FASTOPEN)],
    },
    Past {
        number: libc::SYS_setsockopt,
        x32: 541,
        arguments: &[(1, INT, TCP), (2, INT, ULP)],
    },
];

/// `MSG_FASTOPEN` (Linux's `linux/socket.h`).
pub const FASTOPEN: u64 = 0x2000_0000;

/// All that the kernel reads of an int.
const INT: u64 = 0xffff_ffff;
const TCP: u64 = libc::IPPROTO_TCP.unsigned_abs() as u64;
const ULP: u64 = libc::TCP_ULP.unsigned_abs() as u64;

/// Refused always.
pub const ALWAYS: [i64; 5] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_ptrace,
    libc::SYS_pidfd_getfd,
];

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
#[error("failed to compile the seccomp filter: {0}")]
pub struct FilterError(#[from] seccompiler::BackendError);

/// Compiles the filter for the machine's architecture.
///
/// # Errors
/// seccompiler refuses the architecture or the rules.
pub fn program(sockets: Sockets) -> Result<BpfProgram, FilterError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let [socket, socketpair] = BY_FAMILY;
    rules.insert(socketpair, vec![SeccompRule::new(vec![is_not(0, UNIX)?])?]);
    match sockets {
        Sockets::UnixOnly => {
            rules.insert(socket, vec![SeccompRule::new(vec![is_not(0, UNIX)?])?]);
        }
        Sockets::UnixAndStreams => {
            rules.insert(socket, all_but_streams()?);
            for past in PAST_LANDLOCK {
                let arguments = past.arguments.iter();
                let conditions = arguments
                    .map(|(argument, bits, value)| has(*argument, *bits, *value))
                    .collect::<Result<Vec<_>, FilterError>>()?;
                rules.insert(past.number, vec![SeccompRule::new(conditions)?]);
            }
        }
    }
    for number in ALWAYS {
        rules.insert(number, Vec::new());
    }
    if cfg!(target_arch = "x86_64") {
        for number in x32(sockets) {
            rules.insert(number, Vec::new());
        }
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EACCES.unsigned_abs()),
        arch,
    )?;
    Ok(filter.try_into()?)
}

/// The numbers of the x32 ABI that are refused whatever their arguments.
pub fn x32(sockets: Sockets) -> impl Iterator<Item = i64> {
    let past = PAST_LANDLOCK
        .into_iter()
        .filter(move |_| sockets == Sockets::UnixAndStreams)
        .map(|past| past.x32);
    let same = BY_FAMILY.into_iter().chain(ALWAYS);
    same.chain(past)
        .map(|number| number | X32_BIT)
        .chain([X32_PTRACE, X32_PTRACE | X32_BIT])
}

const UNIX: u64 = libc::AF_UNIX.unsigned_abs() as u64;

/// What is refused of `socket` when streams are left: a call that one of these rules fits.
fn all_but_streams() -> Result<Vec<SeccompRule>, FilterError> {
    let of_inet = |more: Vec<SeccompCondition>| -> Result<SeccompRule, FilterError> {
        let mut conditions = vec![is_not(0, UNIX)?];
        conditions.extend(more);
        Ok(SeccompRule::new(conditions)?)
    };
    let [inet, inet6] =
        [libc::AF_INET, libc::AF_INET6].map(|family| u64::from(family.unsigned_abs()));
    let mut rules = vec![
        of_inet(vec![is_not(0, inet)?, is_not(0, inet6)?])?,
        // 0 is the family's own choice, which for a stream is TCP; not MPTCP, SCTP or SMC.
        of_inet(vec![is_not(2, 0)?, is_not(2, TCP)?])?,
    ];
    // The type is the lowest four bits (SOCK_TYPE_MASK): SOCK_STREAM is 1, so all others differ in one of them.
    for (bit, wrong) in [(1, 0), (2, 2), (4, 4), (8, 8)] {
        rules.push(of_inet(vec![has(1, bit, wrong)?])?);
    }
    Ok(rules)
}

/// The kernel reads these arguments as 32-bit ints, so the upper half is not compared.
fn is_not(argument: u8, value: u64) -> Result<SeccompCondition, FilterError> {
    let op = SeccompCmpOp::Ne;
    Ok(SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        op,
        value,
    )?)
}

fn has(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, FilterError> {
    let op = SeccompCmpOp::MaskedEq(mask);
    Ok(SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        op,
        value,
    )?)
}
