//! A directory that the kubelet fills from a Secret or a ConfigMap.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A mounted directory, and what came of the last look at it.
#[derive(Debug)]
pub struct Mounted {
    dir: PathBuf,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// Where the kubelet's link to the newest data led, if that could be read.
    version: Option<PathBuf>,
    /// Why it could not.
    failure: Option<String>,
}

impl Mounted {
    /// Nothing of it is read yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            last: Mutex::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Lets `read` look at the directory unless it is the same as the last time. What could not be read is read again
    /// at the next look; the same failure is given once.
    ///
    /// The kubelet changes all entries at once by the link `..data`; while that is the same, nothing is read. `read`
    /// is given the directory behind it, so that all entries are of one version. A directory without that link is
    /// read itself, each time.
    pub fn when_changed<T, E: Display>(
        &self,
        read: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let version = fs::read_link(self.dir.join("..data")).ok();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if version.is_some() && last.version == version {
            return None;
        }
        let found = match &version {
            Some(version) => read(&self.dir.join(version)),
            None => read(&self.dir),
        };
        let failure = found.as_ref().err().map(ToString::to_string);
        let known = failure.is_some() && failure == last.failure;
        *last = Last {
            version: version.filter(|_| failure.is_none()),
            failure,
        };
        (!known).then_some(found)
    }
}

/// A file of such a directory, up to one byte more than `most`: whoever gets that many has not got all.
///
/// # Errors
/// It cannot be read.
pub fn read(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Lays one file down as the kubelet does, in the place of what was there.
    pub(crate) fn lay(dir: &Path, version: &str, name: &str, text: &str) {
        fs::create_dir(dir.join(version)).unwrap();
        fs::write(dir.join(version).join(name), text).unwrap();
        let link = dir.join("..data");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(version, link).unwrap();
        let _ = std::os::unix::fs::symlink(Path::new("..data").join(name), dir.join(name));
    }

    #[test]
    fn the_kubelets_link_says_when_something_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Mounted::new(dir.path().to_owned());
        let changed = || mounted.when_changed(|_| Ok::<_, io::Error>(())).is_some();
        assert!([changed(), changed()] == [true, true]);
        lay(dir.path(), "..1", "a", "1");
        assert!([changed(), changed()] == [true, false]);
        lay(dir.path(), "..2", "a", "2");
        assert!([changed(), changed()] == [true, false]);
        fs::remove_file(dir.path().join("..data")).unwrap();
        assert!(changed());
    }

    #[test]
    fn what_could_not_be_read_is_read_again_and_a_failure_is_given_once() {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), "..1", "a", "1");
        let mounted = Mounted::new(dir.path().to_owned());
        let look = |result: Result<(), &'static str>| mounted.when_changed(|_| result);
        assert_eq!(look(Ok(())), Some(Ok(())));
        assert_eq!(look(Err("never read")), None);
        lay(dir.path(), "..2", "a", "2");
        assert_eq!(look(Err("busy")), Some(Err("busy")));
        assert_eq!(look(Err("busy")), None);
        assert_eq!(look(Err("gone")), Some(Err("gone")));
        assert_eq!(look(Ok(())), Some(Ok(())));
        assert_eq!(look(Ok(())), None, "read");
        // Back to the first one after a failure: what was taken from it is gone.
        lay(dir.path(), "..3", "a", "3");
        assert_eq!(look(Err("gone")), Some(Err("gone")));
        fs::remove_file(dir.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..2", dir.path().join("..data")).unwrap();
        assert_eq!(look(Ok(())), Some(Ok(())));
    }
}
