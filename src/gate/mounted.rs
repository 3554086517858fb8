//! A directory that the kubelet fills from a Secret or a ConfigMap.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How often one look begins anew. The kubelet changes a directory once in a minute or less.
const LOOKS: usize = 8;

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
    /// is given the directory behind it, so that all entries are of one version. It is called again where the link
    /// changed meanwhile: then the kubelet takes the directory away that is being read, entry by entry (Kubernetes,
    /// `pkg/volume/util/atomic_writer.go`), and what was found may be a part. A directory without that link is read
    /// itself, each time.
    pub fn when_changed<T, E: Display>(
        &self,
        read: impl Fn(&Path) -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut version = self.version();
        if version.is_some() && last.version == version {
            return None;
        }
        let mut looks = 0;
        let found = loop {
            let found = match &version {
                Some(version) => read(&self.dir.join(version)),
                None => read(&self.dir),
            };
            let newest = self.version();
            if newest == version {
                break found;
            }
            looks += 1;
            if looks == LOOKS {
                // What was known stays until the next look.
                return None;
            }
            version = newest;
        };
        let failure = found.as_ref().err().map(ToString::to_string);
        let known = failure.is_some() && failure == last.failure;
        *last = Last {
            version: version.filter(|_| failure.is_none()),
            failure,
        };
        (!known).then_some(found)
    }

    /// Where the kubelet's link leads.
    fn version(&self) -> Option<PathBuf> {
        fs::read_link(self.dir.join("..data")).ok()
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

    /// The kubelet's next version, and the end of the one before.
    fn swap(dir: &Path, from: &str, to: &str, text: &str) {
        fs::create_dir(dir.join(to)).unwrap();
        fs::write(dir.join(to).join("a"), text).unwrap();
        std::os::unix::fs::symlink(to, dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
        fs::remove_dir_all(dir.join(from)).unwrap();
    }

    #[test]
    fn a_version_that_goes_while_it_is_read_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), "..1", "a", "1");
        let mounted = Mounted::new(dir.path().to_owned());
        let looks = std::cell::Cell::new(0);
        let found = mounted.when_changed(|at| {
            looks.set(looks.get() + 1);
            if looks.get() == 1 {
                swap(dir.path(), "..1", "..2", "2");
            }
            fs::read_to_string(at.join("a"))
        });
        assert_eq!(found.unwrap().unwrap(), "2");
        assert_eq!(looks.get(), 2);
        let again = mounted.when_changed(|_| Ok::<_, io::Error>(()));
        assert!(again.is_none(), "nothing is new");
    }

    #[test]
    fn a_part_of_a_version_that_goes_is_not_taken_for_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), "..1", "a", "1");
        let mounted = Mounted::new(dir.path().to_owned());
        let swapped = std::cell::Cell::new(false);
        // Whoever leaves out what is gone finds nothing, and no failure.
        let found = mounted.when_changed(|at| {
            if !swapped.replace(true) {
                swap(dir.path(), "..1", "..2", "2");
            }
            Ok::<_, io::Error>(fs::read_to_string(at.join("a")).ok())
        });
        assert_eq!(found.unwrap().unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn a_directory_that_never_rests_is_left_for_the_next_look() {
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), "..0", "a", "0");
        let mounted = Mounted::new(dir.path().to_owned());
        let looks = std::cell::Cell::new(0);
        let found = mounted.when_changed(|_| {
            let now = looks.replace(looks.get() + 1);
            swap(
                dir.path(),
                &format!("..{now}"),
                &format!("..{}", now + 1),
                "x",
            );
            Ok::<_, io::Error>(())
        });
        assert!(found.is_none());
        assert_eq!(looks.get(), LOOKS);
        assert!(mounted.when_changed(|_| Ok::<_, io::Error>(())).is_some());
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
