//! The directory of a mounted Secret, read again only when the kubelet has changed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A directory that the kubelet fills.
#[derive(Debug)]
pub struct SecretDir {
    path: PathBuf,
    /// Where the kubelet's link to the newest data led at the last reading.
    version: Mutex<Option<PathBuf>>,
}

impl SecretDir {
    /// That has not been read.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            version: Mutex::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets `read` look at the directory unless it is the same as the last time.
    ///
    /// The kubelet changes all entries at once by the link `..data`; while that is the same, nothing is read. `read`
    /// is given the directory behind it, so that all entries are of one version. A directory without that link is
    /// read itself, each time.
    pub fn when_changed<T>(&self, read: impl FnOnce(&Path) -> T) -> Option<T> {
        let version = fs::read_link(self.path.join("..data")).ok();
        let mut before = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if version.is_some() && *before == version {
            return None;
        }
        let found = match &version {
            Some(version) => read(&self.path.join(version)),
            None => read(&self.path),
        };
        *before = version;
        Some(found)
    }
}
