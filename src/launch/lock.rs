//! Puts the kernel lock on this process and shows that it holds.

use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, connect, sendto,
    socket, socketpair,
};
use seccompiler::BpfProgram;

use super::bpf::{BpfError, Call, run};
use super::filter::{ALWAYS, BY_FAMILY, BY_FLAG, FASTOPEN, FilterError, X32_BIT, program, x32};
use super::ports;
use crate::engine::Sockets;

/// The name of the whole lock in the hello, in `/sealz` and in a ModelDeployment's status: no network socket.
pub const KERNEL: &str = "Kernel";
/// The name of the lock that leaves TCP: no other network socket. Where the engine connects to is held by the
/// network lock alone, but for [`LANDLOCK_PORTS`].
pub const KERNEL_STREAM: &str = "KernelStream";
/// The name of what Landlock adds to [`KERNEL_STREAM`]: no TCP port below [`ports::FIRST`] but the engine's own.
pub const LANDLOCK_PORTS: &str = "LandlockPorts";
/// All that a launch may say in its hello; the gate passes nothing else on.
pub const NAMES: [&str; 3] = [KERNEL, KERNEL_STREAM, LANDLOCK_PORTS];

const AUDIT_ARCH_I386: u32 = 0x4000_0003;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_AARCH64: u32 = 0xc000_00b7;
const AUDIT_ARCH_ARM: u32 = 0x4000_0028;
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_EACCES: u32 = 0x0005_0000 | libc::EACCES.unsigned_abs();

/// Why the lock does not hold.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The filter does not compile.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The filter cannot be checked.
    #[error(transparent)]
    Bpf(#[from] BpfError),
    /// The filter would decide wrongly.
    #[error("failed to check the seccomp filter: {case} gives {got:#010x}, not {want:#010x}")]
    Decision {
        /// The call.
        case: String,
        /// What the filter says.
        got: u32,
        /// What it must say.
        want: u32,
    },
    /// The kernel has Landlock and did not take the rules.
    #[error("failed to install the Landlock rules: {0}")]
    Ports(#[from] landlock::RulesetError),
    /// The kernel did not take it.
    #[error("failed to install the seccomp filter: {0}")]
    Install(#[from] seccompiler::Error),
    /// no_new_privs or the dumpable flag could not be set.
    #[error("failed to set a process flag: {0}")]
    Prctl(#[source] Errno),
    /// A call that must be refused was not.
    #[error("failed to see the lock hold: {call} gave {got}")]
    Open {
        /// The call.
        call: String,
        /// How it went.
        got: String,
    },
    /// `/proc/self/task` does not say that every thread is filtered.
    #[error("failed to see the lock on every thread: {0}")]
    Threads(String),
    /// `/proc` cannot be read.
    #[error("failed to read /proc/self/task: {0}")]
    Proc(#[from] io::Error),
}

/// What an engine must be left, or nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The sockets that it may make.
    pub sockets: Sockets,
    /// The TCP port on which it listens, where it has streams.
    pub port: u16,
}

/// Locks all threads of this process and everything that it will start; there is no way back. Returns the names of
/// what holds.
///
/// In order: not dumpable, so that a child of the same uid cannot write into this process through
/// `/proc/<pid>/mem`; no_new_privs; Landlock's rules where streams are left and the kernel has them, which hold for
/// this thread and what it starts, so it must be the only one; the filter checked call by call, installed on all
/// threads; and everything seen to work by real calls.
///
/// # Errors
/// Anything that leaves a doubt; the caller must not start an engine then.
pub fn engage(left: Left) -> Result<Vec<String>, LockError> {
    prctl::set_dumpable(false).map_err(LockError::Prctl)?;
    prctl::set_no_new_privs().map_err(LockError::Prctl)?;
    let streams = left.sockets == Sockets::UnixAndStreams;
    let landlock = if streams {
        see_threads(&[("NoNewPrivs:", "1")])?;
        only_thread()?;
        ports::restrict(left.port)?
    } else {
        ports::Outcome::Not("no TCP is left".to_owned())
    };
    let filter = program(left.sockets)?;
    check(&filter, left.sockets)?;
    seccompiler::apply_filter_all_threads(&filter)?;
    see_refusals(left.sockets)?;
    see_threads(&[("NoNewPrivs:", "1"), ("Seccomp:", "2")])?;
    let mut names = vec![if streams { KERNEL_STREAM } else { KERNEL }];
    match landlock {
        ports::Outcome::Holds => {
            see_ports(left.port)?;
            names.push(LANDLOCK_PORTS);
        }
        ports::Outcome::Not(why) if streams => tracing::warn!(why, "no ports are locked"),
        ports::Outcome::Not(_) => {}
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// Runs the filter over every call that it must refuse or allow.
///
/// # Errors
/// The first wrong decision.
pub fn check(filter: &BpfProgram, sockets: Sockets) -> Result<(), LockError> {
    for (case, call, want) in cases(sockets) {
        let got = run(filter, &call)?;
        if got != want {
            return Err(LockError::Decision { case, got, want });
        }
    }
    Ok(())
}

const UNIX: u64 = libc::AF_UNIX.unsigned_abs() as u64;
const INET: [u64; 2] = [
    libc::AF_INET.unsigned_abs() as u64,
    libc::AF_INET6.unsigned_abs() as u64,
];
const STREAM: u64 = libc::SOCK_STREAM.unsigned_abs() as u64;
const TYPE_FLAGS: u64 = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).unsigned_abs() as u64;

const fn architectures() -> (u32, u32) {
    if cfg!(target_arch = "x86_64") {
        (AUDIT_ARCH_X86_64, AUDIT_ARCH_I386)
    } else {
        (AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM)
    }
}

fn call(number: i64, args: [u64; 4]) -> Call {
    let [a, b, c, d] = args;
    Call {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        arch: architectures().0,
        args: [a, b, c, d, 0, 0],
    }
}

type Case = (String, Call, u32);

/// Calls and the decision that each must get: all 256 families that a kernel could know, both calls, the
/// x32 numbers, a foreign architecture; and where streams are left, all types, protocols and flags of them.
fn cases(sockets: Sockets) -> Vec<Case> {
    let streams = sockets == Sockets::UnixAndStreams;
    let mut cases = Vec::new();
    for number in BY_FAMILY {
        for family in 0..256u64 {
            let tcp = streams && number == libc::SYS_socket && INET.contains(&family);
            let want = if family == UNIX || tcp {
                RET_ALLOW
            } else {
                RET_EACCES
            };
            let args = [family, STREAM, 0, 0];
            cases.push((
                format!("call {number} family {family}"),
                call(number, args),
                want,
            ));
        }
        // The kernel cuts the family to 32 bits: the upper half must neither hide another family nor matter.
        let disguised = call(number, [(UNIX << 32) | 17, STREAM, 0, 0]);
        cases.push((format!("call {number} disguised"), disguised, RET_EACCES));
        let foreign = Call {
            arch: architectures().1,
            ..call(number, [UNIX, STREAM, 0, 0])
        };
        cases.push((format!("call {number} foreign"), foreign, RET_KILL_PROCESS));
    }
    for number in ALWAYS {
        cases.push((format!("call {number}"), call(number, [0; 4]), RET_EACCES));
    }
    if cfg!(target_arch = "x86_64") {
        for number in x32(sockets).filter(|number| number & X32_BIT != 0) {
            for family in [0, UNIX, 2, 10] {
                let args = [family, STREAM, 0, 0];
                cases.push((
                    format!("x32 call {number:#x}"),
                    call(number, args),
                    RET_EACCES,
                ));
            }
        }
    }
    if streams {
        cases.extend(stream_cases());
    }
    // What an engine lives by stays.
    for number in [
        libc::SYS_read,
        libc::SYS_connect,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_clone,
        libc::SYS_execve,
    ] {
        cases.push((format!("call {number}"), call(number, [0; 4]), RET_ALLOW));
    }
    cases
}

/// What is left of AF_INET and AF_INET6 is TCP and nothing beside it.
fn stream_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let allow_if = |holds: bool| if holds { RET_ALLOW } else { RET_EACCES };
    for family in INET {
        for kind in 0..16u64 {
            for flags in [0, TYPE_FLAGS] {
                let args = [family, kind | flags, 0, 0];
                cases.push((
                    format!("family {family} type {kind} flags {flags:#x}"),
                    call(libc::SYS_socket, args),
                    allow_if(kind == STREAM),
                ));
            }
        }
        // All numbers of IANA, and MPTCP (262) and SMC's (256) above them.
        for protocol in 0..300u64 {
            let args = [family, STREAM, protocol, 0];
            cases.push((
                format!("family {family} protocol {protocol}"),
                call(libc::SYS_socket, args),
                allow_if(protocol == 0 || protocol == 6),
            ));
        }
    }
    for kind in 0..16u64 {
        let args = [UNIX, kind, 1, 0];
        cases.push((
            format!("unix type {kind}"),
            call(libc::SYS_socket, args),
            RET_ALLOW,
        ));
    }
    for (number, argument) in BY_FLAG {
        for (flags, want) in [
            (FASTOPEN, RET_EACCES),
            (FASTOPEN | 0x4000, RET_EACCES),
            (0x4000, RET_ALLOW),
        ] {
            let mut args = [0; 4];
            args[usize::from(argument)] = flags;
            cases.push((
                format!("call {number} flags {flags:#x}"),
                call(number, args),
                want,
            ));
        }
    }
    cases
}

/// Makes the calls that can be made safely.
fn see_refusals(sockets: Sockets) -> Result<(), LockError> {
    let streams = sockets == Sockets::UnixAndStreams;
    let families = [
        AddressFamily::Inet,
        AddressFamily::Inet6,
        AddressFamily::Netlink,
        AddressFamily::Packet,
        AddressFamily::Vsock,
    ];
    for family in families {
        for kind in [SockType::Stream, SockType::Datagram, SockType::Raw] {
            let inet = matches!(family, AddressFamily::Inet | AddressFamily::Inet6);
            if streams && inet && kind == SockType::Stream {
                continue;
            }
            let answer = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).map(drop);
            refused(format!("socket({family:?}, {kind:?})"), answer)?;
        }
    }
    let answer = socketpair(
        AddressFamily::Inet,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    );
    refused("socketpair(Inet)".to_owned(), answer.map(drop))?;
    must("socket(Unix)", stream(AddressFamily::Unix).map(drop))?;
    if streams {
        let tcp = must("socket(Inet)", stream(AddressFamily::Inet))?;
        let to = SockaddrIn::new(127, 0, 0, 1, 9);
        let flags = MsgFlags::from_bits_retain(FASTOPEN as i32);
        let sent = sendto(tcp.as_raw_fd(), b"x", &to, flags).map(drop);
        refused("sendto(MSG_FASTOPEN)".to_owned(), sent)?;
    }
    Ok(())
}

/// Tries ports on loopback, where nothing leaves the pod: what Landlock refuses is refused before any packet.
fn see_ports(own: u16) -> Result<(), LockError> {
    for port in [1, 22, 53, 80, 443, 5000, 6443, 8080, 8081, ports::FIRST - 1] {
        if port == own {
            continue;
        }
        let to = SockaddrIn::new(127, 0, 0, 1, port);
        let tcp = must("socket(Inet)", stream(AddressFamily::Inet))?;
        refused(format!("connect({port})"), connect(tcp.as_raw_fd(), &to))?;
        refused(format!("bind({port})"), bind(tcp.as_raw_fd(), &to))?;
        // A kernel without IPv6 has no socket to try it with.
        if let Ok(tcp) = stream(AddressFamily::Inet6) {
            let to = SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0));
            refused(format!("connect6({port})"), connect(tcp.as_raw_fd(), &to))?;
        }
    }
    let tcp = must("socket(Inet)", stream(AddressFamily::Inet))?;
    match connect(tcp.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, own)) {
        Err(Errno::EACCES) => Err(LockError::Open {
            call: format!("connect({own})"),
            got: "a refusal of the engine's own port".to_owned(),
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn stream(family: AddressFamily) -> Result<OwnedFd, Errno> {
    socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
}

fn must<T>(call: &str, answer: Result<T, Errno>) -> Result<T, LockError> {
    answer.map_err(|errno| LockError::Open {
        call: call.to_owned(),
        got: errno.to_string(),
    })
}

fn refused(call: String, answer: Result<(), Errno>) -> Result<(), LockError> {
    match answer {
        Err(Errno::EACCES) => Ok(()),
        Err(errno) => Err(LockError::Open {
            call,
            got: errno.to_string(),
        }),
        Ok(()) => Err(LockError::Open {
            call,
            got: "a socket".to_owned(),
        }),
    }
}

/// Landlock's rules hold for the thread that asks for them and for what it starts afterwards.
fn only_thread() -> Result<(), LockError> {
    let threads = fs::read_dir("/proc/self/task")?.count();
    if threads == 1 {
        return Ok(());
    }
    Err(LockError::Threads(format!("{threads} threads, not one")))
}

/// Reads the flags of each thread as the kernel tells them (proc_pid_status(5)).
fn see_threads(flags: &[(&str, &str)]) -> Result<(), LockError> {
    for task in fs::read_dir("/proc/self/task")? {
        let path = task?.path().join("status");
        let status = fs::read_to_string(&path)?;
        for (field, want) in flags {
            let got = status
                .lines()
                .find_map(|line| line.strip_prefix(field))
                .map(str::trim);
            if got != Some(*want) {
                return Err(LockError::Threads(format!(
                    "{} {field} {got:?}",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
