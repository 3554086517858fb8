//! Room on the volume.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

use super::PullError;

/// For `sealroom.json`, the state file and the file system's own needs.
const SLACK: u64 = 1 << 20;

/// Makes sure that `file` can grow to `size`, and reserves the blocks where the file system can.
pub(super) fn reserve(dir: &Path, file: &File, size: u64) -> Result<(), PullError> {
    let allocated = file
        .metadata()
        .map_err(PullError::io("look at the partial file"))?
        .blocks()
        * 512;
    let needed = size.saturating_sub(allocated);
    let available = available(dir).map_err(PullError::io("look at the volume"))?;
    if needed > 0 && needed.saturating_add(SLACK) > available {
        return Err(PullError::VolumeTooSmall { needed, available });
    }
    let Ok(length) = i64::try_from(size) else {
        return Err(PullError::VolumeTooSmall { needed, available });
    };
    match fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, length) {
        Err(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => {
            Err(PullError::VolumeTooSmall { needed, available })
        }
        // Not every file system has it (NFS before 4.2, some FUSE): then writing will tell.
        _ => Ok(()),
    }
}

fn available(dir: &Path) -> io::Result<u64> {
    let stat = statvfs(dir)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}
