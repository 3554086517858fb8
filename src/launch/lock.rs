//! Puts the kernel lock on this process and shows that it holds.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket, socketpair};
use seccompiler::BpfProgram;

use super::bpf::{BpfError, Call, run};
use super::filter::{ALWAYS, BY_FAMILY, FilterError, X32_BIT, X32_PTRACE, program};

/// The name of this lock in the hello, in `/sealz` and in a ModelDeployment's status.
pub const KERNEL: &str = "Kernel";

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

/// Locks all threads of this process and everything that it will start; there is no way back.
///
/// In order: not dumpable, so that a child of the same uid cannot write into this process through
/// `/proc/<pid>/mem`; no_new_privs; the filter checked call by call, installed on all threads, and seen to
/// work by real calls.
///
/// # Errors
/// Anything that leaves a doubt; the caller must not start an engine then.
pub fn engage() -> Result<(), LockError> {
    prctl::set_dumpable(false).map_err(LockError::Prctl)?;
    prctl::set_no_new_privs().map_err(LockError::Prctl)?;
    let filter = program()?;
    check(&filter)?;
    seccompiler::apply_filter_all_threads(&filter)?;
    see_refusals()?;
    see_threads()
}

/// Runs the filter over every call that it must refuse or allow.
///
/// # Errors
/// The first wrong decision.
pub fn check(filter: &BpfProgram) -> Result<(), LockError> {
    for (case, call, want) in cases() {
        let got = run(filter, &call)?;
        if got != want {
            return Err(LockError::Decision { case, got, want });
        }
    }
    Ok(())
}

/// Calls and the decision that each must get: all 256 families that a kernel could know, both calls, the
/// x32 numbers, and a foreign architecture.
fn cases() -> Vec<(String, Call, u32)> {
    let (native, foreign) = if cfg!(target_arch = "x86_64") {
        (AUDIT_ARCH_X86_64, AUDIT_ARCH_I386)
    } else {
        (AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM)
    };
    let call = |number: i64, family: u64, arch: u32| Call {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        arch,
        args: [family, 1, 0, 0, 0, 0],
    };
    let unix = u64::from(libc::AF_UNIX.unsigned_abs());
    let mut cases = Vec::new();
    for number in BY_FAMILY {
        for family in 0..256u64 {
            let want = if family == unix {
                RET_ALLOW
            } else {
                RET_EACCES
            };
            cases.push((
                format!("call {number} family {family}"),
                call(number, family, native),
                want,
            ));
        }
        // The kernel cuts the family to 32 bits: the upper half must neither hide AF_INET nor matter.
        let disguised = (unix << 32) | 2;
        cases.push((
            format!("call {number} disguised"),
            call(number, disguised, native),
            RET_EACCES,
        ));
        cases.push((
            format!("call {number} foreign"),
            call(number, unix, foreign),
            RET_KILL_PROCESS,
        ));
    }
    for number in ALWAYS {
        cases.push((
            format!("call {number}"),
            call(number, 0, native),
            RET_EACCES,
        ));
    }
    if cfg!(target_arch = "x86_64") {
        for number in BY_FAMILY.into_iter().chain(ALWAYS).chain([X32_PTRACE]) {
            for family in [0, unix, 2, 10] {
                let number = number | X32_BIT;
                cases.push((
                    format!("x32 call {number:#x}"),
                    call(number, family, native),
                    RET_EACCES,
                ));
            }
        }
    }
    // What an engine lives by stays.
    for number in [
        libc::SYS_read,
        libc::SYS_connect,
        libc::SYS_clone,
        libc::SYS_execve,
    ] {
        cases.push((format!("call {number}"), call(number, 0, native), RET_ALLOW));
    }
    cases
}

/// Makes the calls that can be made safely.
fn see_refusals() -> Result<(), LockError> {
    let families = [
        AddressFamily::Inet,
        AddressFamily::Inet6,
        AddressFamily::Netlink,
        AddressFamily::Packet,
        AddressFamily::Vsock,
    ];
    for family in families {
        for kind in [SockType::Stream, SockType::Datagram, SockType::Raw] {
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
    match socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    ) {
        Ok(_) => Ok(()),
        Err(errno) => Err(LockError::Open {
            call: "socket(Unix)".to_owned(),
            got: errno.to_string(),
        }),
    }
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

/// Reads the flags of each thread as the kernel tells them (proc_pid_status(5)).
fn see_threads() -> Result<(), LockError> {
    for task in fs::read_dir("/proc/self/task")? {
        let path = task?.path().join("status");
        let status = fs::read_to_string(&path)?;
        for (field, want) in [("NoNewPrivs:", "1"), ("Seccomp:", "2")] {
            let got = status
                .lines()
                .find_map(|line| line.strip_prefix(field))
                .map(str::trim);
            if got != Some(want) {
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
mod tests {
    use super::*;

    #[test]
    fn the_filter_decides_every_case_as_it_must() {
        check(&program().unwrap()).unwrap();
        assert!(cases().len() > 540);
    }

    /// Each rule is there for a reason: without it a case fails.
    #[test]
    fn a_filter_without_one_of_its_rules_is_noticed() {
        let filter = program().unwrap();
        let mut noticed = 0;
        for at in 0..filter.len() {
            // A comparison with a system call number becomes one with a number that does not exist.
            let numbers: Vec<i64> = BY_FAMILY
                .into_iter()
                .chain(ALWAYS)
                .chain([X32_PTRACE])
                .collect();
            let k = i64::from(filter[at].k);
            let is_rule = numbers.contains(&k) || numbers.iter().any(|n| n | X32_BIT == k);
            if filter[at].code != 0x15 || !is_rule || k == X32_PTRACE {
                continue;
            }
            let mut broken = filter.clone();
            broken[at].k = 0xffff;
            assert!(
                check(&broken).is_err(),
                "rule at {at} for {k:#x} is not checked"
            );
            noticed += 1;
        }
        assert_eq!(
            noticed, 15,
            "7 native rules, 7 of x32, and ptrace's x32 number"
        );
    }

    #[test]
    fn a_filter_without_its_architecture_check_is_noticed() {
        let filter = program().unwrap();
        assert!(matches!(
            check(&filter[3..].to_vec()),
            Err(LockError::Decision { .. })
        ));
    }

    #[test]
    fn an_unlocked_process_does_not_pass() {
        // A netlink or INET socket can be made here, or another error than EACCES comes back.
        assert!(matches!(see_refusals(), Err(LockError::Open { .. })));
    }

    #[test]
    fn an_interpreter_refuses_programs_that_leave_themselves() {
        let filter = program().unwrap();
        let call = Call {
            number: 0,
            arch: AUDIT_ARCH_X86_64,
            args: [0; 6],
        };
        assert_eq!(run(&filter[..1], &call), Err(BpfError::OutOfProgram(1)));
        assert_eq!(run(&[], &call), Err(BpfError::OutOfProgram(0)));
    }
}
