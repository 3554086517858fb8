//! How many files a process may open: each connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process open as many files as the machine allows. What is usual is 1024, for programs that use select(2).
///
/// # Errors
/// The kernel does not take the limit.
pub(super) fn allow_all() -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
}
