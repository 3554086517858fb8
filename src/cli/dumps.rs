//! No image of a process's memory is written to disk: prompts and keys are in it.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A limit that leaves room for no image. Of zero a kernel that hands images to a program takes no notice (core(5));
/// one is the value at which it makes none.
const NONE: u64 = 1;

/// Switches core dumps off for this process and for everything that it starts, for good.
///
/// # Errors
/// The kernel does not take the limit.
pub(super) fn refuse() -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_CORE)?;
    let limit = most.min(NONE);
    setrlimit(Resource::RLIMIT_CORE, limit, limit)
}
