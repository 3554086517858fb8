//! The path of a Unix socket in a directory that a program may write to as well: cleared of whatever an earlier one
//! left there, and bound.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::net::UnixListener;

/// Makes room for a socket, whatever stands there. Of a link the link goes, and not what it leads to. A directory goes
/// aside and not away: what is in it may be of any depth. Whoever puts something there meanwhile keeps the socket from
/// being bound, and does nothing else.
///
/// # Errors
/// It cannot be looked at, or does not give way.
pub fn clear(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if found.is_dir() {
        let aside = format!("{:016x}", rand::random::<u64>());
        return fs::rename(path, path.with_extension(aside));
    }
    fs::remove_file(path)
}

/// Binds a socket to a path that is cleared first. Who may connect is decided by who mounts the directory: `mode` is
/// 0666 where another uid must.
///
/// # Errors
/// The path cannot be cleared or bound.
pub fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    clear(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use super::*;

    fn socket(path: &Path) {
        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    }

    fn directory(path: &Path) {
        fs::create_dir_all(path.join("more")).unwrap();
    }

    #[rstest::rstest]
    #[case::nothing(|_: &Path| {})]
    #[case::a_dead_socket(socket)]
    #[case::a_file(|path: &Path| fs::write(path, "x").unwrap())]
    #[case::a_directory(directory)]
    #[case::a_link_to_nothing(|path: &Path| symlink("nowhere", path).unwrap())]
    #[tokio::test]
    async fn whatever_stands_there_gives_way_again_and_again(#[case] stands: fn(&Path)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        for _ in 0..2 {
            stands(&path);
            let _listener = bind(&path, 0o660).unwrap();
            let found = fs::symlink_metadata(&path).unwrap();
            assert!(found.file_type().is_socket());
            assert_eq!(found.permissions().mode() & 0o777, 0o660);
            clear(&path).unwrap();
        }
    }

    #[rstest::rstest]
    #[case::a_file(|path: &Path| fs::write(path, "x").unwrap())]
    #[case::a_directory(directory)]
    fn a_link_gives_way_and_what_it_leads_to_stays(#[case] there: fn(&Path)) {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("socket"), dir.path().join("other"));
        there(&other);
        symlink(&other, &path).unwrap();
        clear(&path).unwrap();
        assert!(fs::symlink_metadata(&path).is_err());
        assert!(other.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else");
    }

    #[test]
    fn what_does_not_give_way_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(clear(&file.join("socket")).is_err(), "it has no directory");
    }
}
