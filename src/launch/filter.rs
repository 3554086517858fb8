//! The kernel lock's seccomp filter.
//!
//! What it refuses, with EACCES so that a well-behaved engine reports an error and goes on:
//! - `socket` and `socketpair` of every family but AF_UNIX;
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

/// The bit that marks a system call of the x32 ABI (`__X32_SYSCALL_BIT` in Linux's `asm/unistd.h`).
pub const X32_BIT: i64 = 0x4000_0000;

/// `ptrace` has a number of its own in the x32 table (`syscall_64.tbl`); old kernels also took the numbers
/// 512 to 547 without the bit.
pub const X32_PTRACE: i64 = 521;

/// Refused for every family but AF_UNIX.
pub const BY_FAMILY: [i64; 2] = [libc::SYS_socket, libc::SYS_socketpair];

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
pub fn program() -> Result<BpfProgram, FilterError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let family = u64::from(libc::AF_UNIX.unsigned_abs());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for number in BY_FAMILY {
        // The kernel reads the family as a 32-bit int, so the upper half of the argument is not compared.
        let other = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)?;
        rules.insert(number, vec![SeccompRule::new(vec![other])?]);
    }
    for number in ALWAYS {
        rules.insert(number, Vec::new());
    }
    if cfg!(target_arch = "x86_64") {
        for number in BY_FAMILY.into_iter().chain(ALWAYS) {
            rules.insert(number | X32_BIT, Vec::new());
        }
        rules.insert(X32_PTRACE, Vec::new());
        rules.insert(X32_PTRACE | X32_BIT, Vec::new());
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EACCES.unsigned_abs()),
        arch,
    )?;
    Ok(filter.try_into()?)
}
