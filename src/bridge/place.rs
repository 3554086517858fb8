//! The path at which the gate finds the bridge: in a directory that the server may write to as well.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// New connections of the gate no longer reach the bridge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} is no longer the bridge's socket: {found}")]
pub struct Displaced {
    path: PathBuf,
    found: Found,
}

/// What is at the path in place of the socket as it was bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Found {
    #[error("it cannot be found there")]
    Nothing,
    #[error("something else is there")]
    Other,
    #[error("its mode was changed")]
    Mode,
}

/// A file, and who may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File {
    device: u64,
    /// No other file's as long as the socket is bound, since that keeps the file in being.
    inode: u64,
    mode: u32,
}

impl File {
    /// What is at the path itself: a link to the socket is something else, and leads where its owner wants.
    fn at(path: &Path) -> io::Result<Self> {
        let meta = fs::symlink_metadata(path)?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            mode: meta.mode(),
        })
    }

    /// What has become of it.
    fn compare(self, now: Option<Self>) -> Result<(), Found> {
        let now = now.ok_or(Found::Nothing)?;
        if (now.device, now.inode) != (self.device, self.inode) {
            return Err(Found::Other);
        }
        if now.mode != self.mode {
            return Err(Found::Mode);
        }
        Ok(())
    }
}

/// A path and the socket that was bound to it.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    bound: File,
    looked: Instant,
}

impl Place {
    /// Of a socket that has just been bound, while nobody else can have touched it. It stays known for as long as it is
    /// bound.
    ///
    /// # Errors
    /// The path cannot be looked at.
    pub fn of(path: &Path, now: Instant) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            bound: File::at(path)?,
            looked: now,
        })
    }

    /// Looks at most once a second, however often it is asked: what is wrong then.
    pub fn lost(&mut self, now: Instant) -> Option<Displaced> {
        if now.duration_since(self.looked) < LOOK {
            return None;
        }
        self.looked = now;
        self.look().err()
    }

    /// Whether the path still leads to the socket, and the gate may still connect to it. What cannot be looked at does not.
    fn look(&self) -> Result<(), Displaced> {
        let now = File::at(&self.path).ok();
        self.bound.compare(now).map_err(|found| Displaced {
            path: self.path.clone(),
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn moved(path: &Path) -> PathBuf {
        let aside = path.with_extension("aside");
        fs::rename(path, &aside).unwrap();
        aside
    }

    #[rstest::rstest]
    #[case::nothing(|_: &Path| {}, Ok(()))]
    #[case::moved_and_back(|path: &Path| fs::rename(moved(path), path).unwrap(), Ok(()))]
    #[case::moved(|path: &Path| drop(moved(path)), Err(Found::Nothing))]
    #[case::unlinked(|path: &Path| fs::remove_file(path).unwrap(), Err(Found::Nothing))]
    #[case::bound_anew(|path: &Path| {
        fs::remove_file(path).unwrap();
        drop(UnixListener::bind(path).unwrap());
    }, Err(Found::Other))]
    #[case::another_moved_over_it(|path: &Path| {
        let other = path.with_extension("other");
        drop(UnixListener::bind(&other).unwrap());
        fs::rename(other, path).unwrap();
    }, Err(Found::Other))]
    #[case::a_directory(|path: &Path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }, Err(Found::Other))]
    #[case::linked(|path: &Path| symlink(moved(path), path).unwrap(), Err(Found::Other))]
    #[case::shut(|path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }, Err(Found::Mode))]
    fn what_others_do_to_it_is_seen(#[case] done: fn(&Path), #[case] expected: Result<(), Found>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let place = Place::of(&path, Instant::now()).unwrap();
        assert_eq!(place.look(), Ok(()));
        done(&path);
        assert_eq!(place.look().map_err(|displaced| displaced.found), expected);
    }

    #[test]
    fn it_is_looked_at_once_a_second() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let bound = Instant::now();
        let mut place = Place::of(&path, bound).unwrap();
        let aside = moved(&path);
        let after = |millis| bound + Duration::from_millis(millis);
        assert_eq!(place.lost(after(999)), None);
        let lost = place.lost(after(1000)).unwrap();
        assert_eq!(lost.found, Found::Nothing);
        assert_eq!(place.lost(after(1999)), None);
        fs::rename(aside, &path).unwrap();
        assert_eq!(place.lost(after(2000)), None);
    }

    #[test]
    fn the_words_name_path_and_cause() {
        let displaced = Displaced {
            path: "/run/x.sock".into(),
            found: Found::Other,
        };
        assert_eq!(
            displaced.to_string(),
            "/run/x.sock is no longer the bridge's socket: something else is there"
        );
    }
}
