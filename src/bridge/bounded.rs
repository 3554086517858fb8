//! How much memory each process of a child may take.
//!
//! All children are in one container. What they take beyond its limit is answered by the kernel, which kills one of
//! them or, as the kubelet asks of it, all with the bridge (`memory.oom.group`, cgroup v2). Before that a limit of the
//! process itself makes an allocation fail, in the process that asks for it and in no other.
//!
//! The limit counts what a process can write to and shares with nobody (`RLIMIT_DATA`, getrlimit(2)). One of its
//! address space (`RLIMIT_AS`) would count what is only reserved: some gigabyte in Node and Go, nine in a JVM, of which
//! they can write to a twentieth. There is none of what is resident: `RLIMIT_RSS` has no effect.
//!
//! It must hold before the program's first instruction, and between `fork` and `exec` nothing safe can be done. So a
//! child begins as this program, which takes the limit on itself and becomes the server's. It is soft and hard: who has
//! no privilege cannot raise it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The least that can be asked for, in bytes: with less hardly a program starts.
pub const LEAST: u64 = 16 * 1024 * 1024;
/// This program, whatever has become of the file that it was started from.
const OURSELVES: &str = "/proc/self/exe";

/// What is started in the place of `command`, so that it has at most these bytes.
#[must_use]
pub fn command(bytes: Option<u64>, command: Vec<OsString>) -> Vec<OsString> {
    let Some(bytes) = bytes else {
        return command;
    };
    let within = format!("--within={bytes}");
    let mut words = Vec::from([OURSELVES, "bridge", &within, "--"].map(OsString::from));
    words.extend(command);
    words
}

/// Takes the limit on this process and becomes that program. It comes back with the reason why not.
#[must_use]
pub fn enter(bytes: u64, command: &[OsString]) -> io::Error {
    let Some((program, args)) = command.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no command");
    };
    if let Err(error) = limit(bytes) {
        return error;
    }
    let error = Command::new(program).args(args).exec();
    io::Error::new(error.kind(), format!("{}: {error}", program.display()))
}

/// What the container allows no process stays so.
fn limit(bytes: u64) -> io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_DATA)?;
    let bytes = bytes.min(most);
    Ok(setrlimit(Resource::RLIMIT_DATA, bytes, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::free(None, &["node", "--x"])]
    #[case::bounded(
        Some(LEAST),
        &["/proc/self/exe", "bridge", "--within=16777216", "--", "node", "--x"]
    )]
    fn what_is_started(#[case] bytes: Option<u64>, #[case] expected: &[&str]) {
        let words = command(bytes, ["node", "--x"].map(OsString::from).into());
        assert_eq!(words, expected);
    }

    #[test]
    fn nothing_to_start_is_an_error() {
        assert_eq!(enter(LEAST, &[]).kind(), io::ErrorKind::InvalidInput);
    }
}
