//! What runs in pods, as the machine sees it whose processes the nodes are.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// Every process, by its directory below `/proc`.
pub(super) fn all() -> Result<Vec<PathBuf>> {
    let mut all = vec![];
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            all.push(entry.path());
        }
    }
    Ok(all)
}

/// A file of a process; empty when that has ended.
pub(super) fn text(process: &Path, file: &str) -> String {
    let bytes = std::fs::read(process.join(file)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether it is of the pod with this UID.
pub(super) fn is_of(process: &Path, uid: &str) -> bool {
    // A cgroup has the UID with dashes, or with underscores where systemd made it.
    text(process, "cgroup").replace('_', "-").contains(uid)
}
