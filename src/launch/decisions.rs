//! What the kernel lock's filter must decide, call by call: the list that it is checked against before it is installed.

use nix::libc;

use super::bpf::Call;
use super::filter::{ALWAYS, BY_FAMILY, PAST_LANDLOCK, Past, X32_BIT, x32};
use crate::engine::Sockets;

const AUDIT_ARCH_I386: u32 = 0x4000_0003;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_AARCH64: u32 = 0xc000_00b7;
const AUDIT_ARCH_ARM: u32 = 0x4000_0028;
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_EACCES: u32 = 0x0005_0000 | libc::EACCES.unsigned_abs();

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

/// A call, named, and the `SECCOMP_RET_*` value that it must get.
pub type Case = (String, Call, u32);

/// Calls and the decision that each must get: all 256 families that a kernel could know, both calls, the
/// x32 numbers, a foreign architecture; and where streams are left, all types, protocols and flags of them.
pub fn cases(sockets: Sockets) -> Vec<Case> {
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
        cases.extend(past_landlock());
    }
    // What an engine lives by stays.
    for number in [
        libc::SYS_read,
        libc::SYS_connect,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_setsockopt,
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
    cases
}

/// What gets past Landlock is refused, also with every bit set that does not count; and with one argument otherwise it
/// is not.
fn past_landlock() -> Vec<Case> {
    let mut cases = Vec::new();
    for Past {
        number, arguments, ..
    } in PAST_LANDLOCK
    {
        let with = |values: &[u64]| {
            let mut args = [0; 4];
            for ((argument, ..), value) in arguments.iter().zip(values) {
                args[usize::from(*argument)] = *value;
            }
            call(number, args)
        };
        let exact: Vec<u64> = arguments.iter().map(|(.., value)| *value).collect();
        let arguments = arguments.iter();
        let disguised: Vec<u64> = arguments
            .clone()
            .map(|(_, bits, value)| value | !bits)
            .collect();
        for (how, values) in [("plain", &exact), ("disguised", &disguised)] {
            let name = format!("call {number} past Landlock, {how}");
            cases.push((name, with(values), RET_EACCES));
        }
        for (at, (argument, bits, _)) in arguments.enumerate() {
            let mut other = disguised.clone();
            // The lowest bit that counts.
            other[at] ^= bits & bits.wrapping_neg();
            let name = format!("call {number} with another argument {argument}");
            cases.push((name, with(&other), RET_ALLOW));
        }
    }
    cases
}
