//! Puts the kernel lock on this process and shows that it holds.

use std::fs;
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, connect, sendto,
    setsockopt, socket, socketpair, sockopt,
};
use seccompiler::BpfProgram;

use super::bpf::{BpfError, run};
use super::decisions::cases;
use super::filter::{FASTOPEN, FilterError, program};
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

/// What must be left to whatever runs, or nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The sockets that it may make.
    pub sockets: Sockets,
    /// The TCP ports that it may use, where it has streams.
    pub ports: ports::Open,
}

impl Left {
    /// Of an engine that listens on `port`: the processes of some talk with each other over ports that the kernel
    /// chooses.
    #[must_use]
    pub fn of_engine(sockets: Sockets, port: u16) -> Self {
        let ports = ports::Open {
            own: Some(port),
            connect: Vec::new(),
            chosen: true,
        };
        Self { sockets, ports }
    }
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
pub fn engage(left: &Left) -> Result<Vec<String>, LockError> {
    keep_out()?;
    let streams = left.sockets == Sockets::UnixAndStreams;
    let landlock = if streams {
        see_threads(&[("NoNewPrivs:", "1")])?;
        only_thread()?;
        ports::restrict(&left.ports)?
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
            see_ports(&left.ports)?;
            names.push(LANDLOCK_PORTS);
        }
        ports::Outcome::Not(why) if streams => tracing::warn!(why, "no ports are locked"),
        ports::Outcome::Not(_) => {}
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// Keeps this process out of reach of what it starts, and all of them from gaining anything by `execve`.
///
/// # Errors
/// A flag could not be set.
pub fn keep_out() -> Result<(), LockError> {
    prctl::set_dumpable(false).map_err(LockError::Prctl)?;
    prctl::set_no_new_privs().map_err(LockError::Prctl)
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
        let above = setsockopt(&tcp, sockopt::TcpUlp::default(), b"smc");
        refused("setsockopt(TCP_ULP)".to_owned(), above)?;
    }
    Ok(())
}

/// Tries ports on loopback, where nothing leaves the pod: what Landlock refuses is refused before any packet.
fn see_ports(open: &ports::Open) -> Result<(), LockError> {
    let own: Vec<u16> = open
        .own
        .into_iter()
        .chain(open.connect.iter().copied())
        .collect();
    for port in [1, 22, 53, 80, 443, 5000, 6443, 8080, 8081, ports::FIRST - 1] {
        if own.contains(&port) {
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
    for port in own {
        let tcp = must("socket(Inet)", stream(AddressFamily::Inet))?;
        if let Err(Errno::EACCES) = connect(tcp.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)) {
            return Err(LockError::Open {
                call: format!("connect({port})"),
                got: "a refusal of a port that must stay".to_owned(),
            });
        }
    }
    Ok(())
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
